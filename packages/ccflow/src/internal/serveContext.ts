import { CCFlowError, type ClaudeError } from "@ccflow/core/ClaudeError"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import { RouteNotFound } from "@effect/platform/HttpServerError"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Desk } from "./serveDesk.js"
import {
  type Answer,
  answerOf,
  type Failure,
  failure,
  internalError,
  notFound,
  responseOf,
  ServiceError
} from "./serveErrors.js"
import * as Events from "./serveEvents.js"
import { bodyOf, type Guard, unauthorized } from "./serveGuard.js"
import { complaint, type Rules } from "./serveOptions.js"

/** What the handlers share. */
export class Service extends Context.Tag("ccflow/internal/Service")<Service, {
  readonly desk: Desk
  readonly guard: Guard
  readonly rules: Rules
  readonly maxBody: number
  readonly maxBatch: number
  readonly heartbeat: Duration.DurationInput
}>() {}

/** The answer, or what was wrong told with its status. */
export const answered = <R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, ClaudeError | ServiceError, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catchAllCause(
    effect,
    (cause) => Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.map(told(cause), responseOf)
  )

/** How a failure is told. What nobody has thought of goes to the log, without its words: they may be anybody's. */
export const told = (cause: Cause.Cause<unknown>): Effect.Effect<Answer> =>
  Effect.gen(function*() {
    const error = Option.getOrUndefined(Cause.failureOption(cause))
    const now = yield* Clock.currentTimeMillis
    if (isOurs(error)) return answerOf(error, now)
    if (isUnauthorized(error)) return { status: 401, body: unauthorized }
    if (error instanceof RouteNotFound) return answerOf(notFound, now)
    if (error instanceof HttpApiDecodeError) return answerOf(complaint(error.issues), now)
    yield* Effect.annotateLogs(Effect.logError("A request failed in a way that nobody has thought of"), {
      defect: framesOf(Cause.squash(cause))
    })
    return answerOf(internalError, now)
  })

/** The body of a request that needs a CLI, which has its place from now on until it is answered. */
export const begin = Effect.gen(function*() {
  const { desk, maxBody } = yield* Service
  yield* desk.work
  return yield* bodyOf(yield* HttpServerRequest.HttpServerRequest, maxBody)
})

/** Events and the result as the last of them where the client wants events, else the result alone. */
export const either = (
  events: Stream.Stream<Events.ServerEvent, ClaudeError | ServiceError>,
  result: Effect.Effect<unknown, ServiceError>
) =>
  Effect.gen(function*() {
    const { desk, heartbeat } = yield* Service
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    if (!Events.wanted(headers["accept"])) {
      return HttpServerResponse.unsafeJson(yield* desk.within(Effect.zipRight(Stream.runDrain(events), result)))
    }
    const last = Stream.map(Stream.fromEffect(result), (data): Events.ServerEvent => ({ event: "result", data }))
    return Events.respond(desk.withinStream(Stream.concat(events, last)), failureOf, heartbeat)
  })

// ---------------------------------------------------------------------------

const isUnauthorized = Schema.is(failure(401))

const isOurs = (error: unknown): error is ClaudeError | ServiceError =>
  error instanceof ServiceError || error instanceof CCFlowError

const failureOf = (cause: Cause.Cause<unknown>): Effect.Effect<Failure> => Effect.map(told(cause), ({ body }) => body)

const framesOf = (defect: unknown): string =>
  defect instanceof Error
    ? `${defect.name} ${(defect.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)).slice(0, 8).join(" ")}`
    : typeof defect
