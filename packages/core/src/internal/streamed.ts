import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ClaudeError } from "../ClaudeError.js"
import type { Message } from "../Message.js"

/** How a run ended: `None` is the good end. */
export type End = Option.Option<ClaudeError>

/** The next messages, or the end. */
export type Pull<R = never> = Effect.Effect<ReadonlyArray<Message>, End, R>

/** Starts a run. */
export type Open<R = never> = Effect.Effect<Pull<R>, ClaudeError, R | Scope.Scope>

const opener: unique symbol = Symbol.for("@ccflow/core/opener")

/** A stream that also tells what it is made of. */
export interface Streamed<R> extends Stream.Stream<Message, ClaudeError, R> {
  readonly [opener]: Open<R>
}

/**
 * What `Stream.unwrapScoped` of a repeated pull would be, from the channel's own parts: a query is short, and more than
 * half of what it costs besides the process would be this.
 */
export const streamed = <R>(open: Open<R>): Streamed<R> => {
  // Most are only put around one another, and read without a channel.
  const channel = Channel.suspend(() =>
    Channel.flatMap(Channel.fromEffect(Scope.make()), (scope) =>
      Channel.ensuringWith(
        Channel.flatMap(Channel.fromEffect(Scope.extend(open, scope)), messages),
        (exit) => Scope.close(scope, exit)
      ))
  )
  return Object.assign(Stream.fromChannel(channel), { [opener]: open })
}

/**
 * A stream batch by batch. One that is a run as it was opened, with nothing put around it, is read without a stream.
 */
export const pullOf = <R>(
  stream: Stream.Stream<Message, ClaudeError, R> | Streamed<R>
): Open<R> =>
  opener in stream
    ? stream[opener]
    : Effect.map(Stream.toPull(stream), Effect.map(Chunk.toReadonlyArray))

/**
 * Something put around a run, of whatever it is made. It stays a run: who reads it batch by batch still does without a
 * stream.
 */
export const around =
  (change: (open: Open) => Open) =>
  (stream: Stream.Stream<Message, ClaudeError>): Stream.Stream<Message, ClaudeError> => streamed(change(pullOf(stream)))

const messages = <R>(pull: Pull<R>) => {
  const take = Effect.catchAll(pull, Effect.succeed)
  const next: Channel.Channel<Chunk.Chunk<Message>, unknown, ClaudeError, unknown, unknown, unknown, R> = Channel
    .flatMap(
      Channel.fromEffect(take),
      (taken) => isEnd(taken) ? ending(taken) : Channel.flatMap(Channel.write(Chunk.unsafeFromArray(taken)), () => next)
    )
  return next
}

const isEnd = (taken: ReadonlyArray<Message> | End): taken is End => !Array.isArray(taken)

const ending = (end: End): Channel.Channel<never, unknown, ClaudeError> =>
  Option.isSome(end) ? Channel.fail(end.value) : Channel.void
