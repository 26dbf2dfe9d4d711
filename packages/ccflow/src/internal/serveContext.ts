import type { Claude } from "@ccflow/core/Claude"
import { CCFlowError, type ClaudeError } from "@ccflow/core/ClaudeError"
import type { HealthCheck } from "@ccflow/core/HealthCheck"
import type { SessionManager } from "@ccflow/core/SessionManager"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Desk } from "./serveDesk.js"
import { type Answer, answerOf, type Failure, internalError, responseOf, ServiceError } from "./serveErrors.js"
import * as Events from "./serveEvents.js"
import { bodyOf, type Guard } from "./serveGuard.js"
import type { Rules } from "./serveOptions.js"

/** What the handlers share. @internal */
export class Service extends Context.Tag("ccflow/internal/Service")<Service, {
  readonly claude: Claude["Type"]
  readonly sessions: SessionManager["Type"]
  readonly health: HealthCheck["Type"]
  readonly desk: Desk
  readonly guard: Guard
  readonly rules: Rules
  readonly maxBody: number
  readonly maxBatch: number
  readonly heartbeat: Duration.DurationInput
}>() {}

type Requested = HttpServerRequest.HttpServerRequest | Scope.Scope

/** The answer, or what was wrong told with its status. @internal */
export const answered = <R>(
  effect: Effect.Effect<HttpServerResponse.HttpServerResponse, ClaudeError | ServiceError, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, never, R> =>
  Effect.catchAllCause(
    effect,
    (cause) => Cause.isInterruptedOnly(cause) ? Effect.interrupt : Effect.map(told(cause), responseOf)
  )

/** How a failure is told. What nobody has thought of goes to the log, without its words: they may be anybody's. @internal */
export const told = (cause: Cause.Cause<unknown>): Effect.Effect<Answer> =>
  Effect.gen(function*() {
    const error = Option.getOrUndefined(Cause.failureOption(cause))
    const now = yield* Clock.currentTimeMillis
    if (isOurs(error)) return answerOf(error, now)
    yield* Effect.annotateLogs(Effect.logError("A request failed in a way that nobody has thought of"), {
      defect: framesOf(Cause.squash(cause))
    })
    return answerOf(internalError, now)
  })

/** The body of a request that needs a CLI, which has its place from now on until it is answered. @internal */
export const begin: Effect.Effect<unknown, ServiceError, Requested | Service> = Effect.gen(function*() {
  const { desk, maxBody } = yield* Service
  yield* desk.work
  return yield* bodyOf(yield* HttpServerRequest.HttpServerRequest, maxBody)
})

/** Events where the client wants them, else the one answer. @internal */
export const either = <E extends ClaudeError | ServiceError, R>(
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  events: Stream.Stream<Events.ServerEvent, E>
): Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E | ServiceError,
  R | Service | HttpServerRequest.HttpServerRequest
> =>
  Effect.gen(function*() {
    const { desk, heartbeat } = yield* Service
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    return Events.wanted(headers["accept"])
      ? Events.respond(desk.withinStream(events), failureOf, heartbeat)
      : yield* desk.within(answer)
  })

// ---------------------------------------------------------------------------

const isOurs = (error: unknown): error is ClaudeError | ServiceError =>
  error instanceof ServiceError || error instanceof CCFlowError

const failureOf = (cause: Cause.Cause<unknown>): Effect.Effect<Failure> => Effect.map(told(cause), ({ body }) => body)

const framesOf = (defect: unknown): string =>
  defect instanceof Error
    ? `${defect.name} ${(defect.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line)).slice(0, 8).join(" ")}`
    : typeof defect
