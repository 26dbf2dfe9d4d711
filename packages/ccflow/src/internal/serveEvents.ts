import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Failure } from "./serveErrors.js"

/** A server-sent event: a name of ours, and a value that JSON can hold. */
export interface ServerEvent {
  readonly event: string
  readonly data: unknown
}

/** As it is on the wire. JSON has no line ends of its own, so the data is one line whatever is in it. */
export const frame = ({ data, event }: ServerEvent, id: number): string =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data) ?? "null"}\n\n`

/**
 * Events as they come, with a comment now and then so that nothing between here and the client takes silence for the end.
 * The reader sets the pace. What fails, fails as the last event, named `error`.
 */
export const respond = <E>(
  events: Stream.Stream<ServerEvent, E>,
  failureOf: (cause: Cause.Cause<E>) => Effect.Effect<Failure>,
  heartbeat: Duration.DurationInput
): HttpServerResponse.HttpServerResponse => {
  const all = Stream.catchAllCause(events, (cause) =>
    Cause.isInterruptedOnly(cause)
      ? Stream.fromEffect(Effect.interrupt)
      : Stream.map(Stream.fromEffect(failureOf(cause)), (data): ServerEvent => ({ event: "error", data })))
  const frames = Stream.mapChunks(
    Stream.zipWithIndex(all),
    (chunk) => Chunk.of(Chunk.reduce(chunk, "", (text, [event, index]) => text + frame(event, index + 1)))
  )
  const beats = Stream.as(Stream.fromSchedule(Schedule.spaced(heartbeat)), ": still here\n\n")
  return HttpServerResponse.stream(
    Stream.encodeText(
      Stream.concat(Stream.succeed(": begins\n\n"), Stream.merge(frames, beats, { haltStrategy: "left" }))
    ),
    { contentType: "text/event-stream; charset=utf-8", headers: { "x-accel-buffering": "no" } }
  )
}

/** Whether the client wants events. */
export const wanted = (accept: string | undefined): boolean =>
  (accept ?? "").split(",").some((type) => type.split(";")[0]?.trim().toLowerCase() === "text/event-stream")
