import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Inspectable from "effect/Inspectable"
import type * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { CCFlowError, type ClaudeError } from "../ClaudeError.js"
import { CurrentCall } from "./currentCall.js"
import { sayable } from "./errorFacts.js"

type Options = Logger.Logger.Options<unknown>

/** What is logged within a call says to which one it belongs. */
export const correlated = (options: Options): Options => {
  const context = FiberRefs.getOrDefault(options.context, FiberRef.currentContext)
  const { id } = Context.get(context, CurrentCall)
  const span = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
  let { annotations } = options
  const say = (name: string, value: string | undefined) => {
    if (value !== undefined && !HashMap.has(annotations, name)) annotations = HashMap.set(annotations, name, value)
  }
  say("callId", id)
  say("traceId", span === undefined || span.traceId === "noop" ? traceIdOf(id) : span.traceId)
  return { ...options, annotations, cause: withoutWords(options.cause) }
}

/** Effect itself logs how fibers end. What an error of ours has been told by others stays in it. */
const withoutWords = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.isEmpty(cause) ? cause : Cause.match(cause, {
    onEmpty: Cause.empty,
    onFail: (error) => Cause.fail(quiet(error)),
    onDie: (defect) => Cause.die(quiet(defect)),
    onInterrupt: Cause.interrupt,
    onSequential: Cause.sequential,
    onParallel: Cause.parallel
  })

const quiet = (error: unknown): unknown =>
  Option.isOption(error) ? Option.map(error, quiet) : isOurs(error) ? sayable(error) : error

const isOurs = (error: unknown): error is ClaudeError => error instanceof CCFlowError

/** A trace id of a call that has no trace. */
export const traceIdOf = (callId: string | undefined): string | undefined => callId?.replaceAll("-", "")

/** For those who do not write lines of text. */
export const redacted = (redact: (text: string) => string) => (options: Options): Options => {
  const safe = (value: unknown): unknown =>
    typeof value === "number" || typeof value === "boolean"
      ? value
      : redact(Inspectable.toStringUnknown(value, 0))
  return {
    ...options,
    message: Arr.ensure(options.message).map(safe),
    annotations: HashMap.map(options.annotations, (value, name) => {
      const said = safe(value)
      // Its name may be what says that it is a secret.
      return typeof said === "string" ? redact(`${name}=${said}`).slice(name.length + 1) : said
    }),
    cause: Cause.isEmpty(options.cause)
      ? options.cause
      : Cause.fail(redact(Cause.pretty(options.cause, { renderErrorCause: true })))
  }
}
