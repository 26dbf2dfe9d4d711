import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.js"
import type { Invocation } from "../CliProcess.js"
import * as Events from "../Events.js"
import type { Parser } from "../MessageParser.js"
import { dateText } from "./errorText.js"
import type { ObservedCall } from "./observation.js"
import { Attribute, Span, SpanEvent } from "./spanNames.js"
import { isHeard, spanned } from "./spanned.js"
import { AttemptWatch, CallWatch, stamped } from "./spanWatch.js"
import type { Open } from "./streamed.js"
import { outer, traceVariables } from "./traceContext.js"
import { watched } from "./watchedParser.js"

/** The span of a call. Waits that the bus tells of are events in it. */
export const whole = (call: ObservedCall, events: Events.EventsService = Events.noop): (open: Open) => Open =>
  spanned({
    name: call.kind === "query" ? Span.query : Span.turn,
    kind: "internal",
    attributes: () => ({
      ...common(call),
      ...(call.server === undefined
        ? { [Attribute.operationName]: "invoke_agent", [Attribute.agentName]: "claude-code" }
        : { [Attribute.operationName]: "chat" }),
      ...(call.kind === "turn" ? { [Attribute.turnNumber]: call.turnNumber } : {})
    }),
    watch: (span, setting) => new CallWatch(call, span, setting),
    begun: (span) => {
      going.set(call.id, { span, attempts: 0 })
      return () => going.delete(call.id)
    },
    around: (open) => Effect.zipRight(events.observe(noteWait, waits), open)
  })

/** The span of one attempt, a child of the call's, with its tools as children. */
export const attempt = (call: ObservedCall): (open: Open) => Open =>
  spanned({
    name: Span.attempt,
    kind: "client",
    attributes: () => {
      const trace = going.get(call.id)
      if (trace !== undefined) trace.attempts++
      return {
        ...common(call),
        ...(call.server === undefined
          ? {}
          : { [Attribute.operationName]: "chat", [Attribute.serverAddress]: call.server }),
        [Attribute.attemptNumber]: trace?.attempts ?? 1
      }
    },
    watch: (span, setting) => new AttemptWatch(span, setting)
  })

/**
 * What a process is told, so that its own spans join those of whoever starts it: the W3C context of the span that it is
 * started in, which is an attempt's, or of one that the program was given from outside and passes on. Effect's own tracer
 * makes ids that nobody exports: what hangs from them belongs to nothing, so they are not told. What the caller has set
 * stays.
 *
 * @internal
 */
export const environment = (given: Invocation["env"]): Effect.Effect<Invocation["env"]> =>
  Effect.withFiberRuntime((fiber) => {
    const heard = isHeard(fiber)
    const { currentSpan } = fiber
    const span = heard ? currentSpan : outer(currentSpan)
    if (span === undefined) return Effect.succeed(given)
    const traced = "TRACEPARENT" in given ? undefined : traceVariables(span)
    const variables = traced === undefined ? given : { ...traced, ...given }
    return span._tag === "ExternalSpan" || !heard ? Effect.succeed(variables) : Effect.clockWith((clock) => {
      span.event(SpanEvent.started, clock.unsafeCurrentTimeNanos())
      return Effect.succeed(variables)
    })
  })

/** A call goes on with the fallback. */
export const fellBack = (callId: string, cause: string, error: ClaudeError): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const span = going.get(callId)?.span
    span?.attribute(Attribute.fallbackCause, cause)
    span?.event(SpanEvent.fellBack, clock.unsafeCurrentTimeNanos(), {
      [Attribute.fallbackCause]: cause,
      [Attribute.errorType]: error._tag
    })
    return Effect.void
  })

/** A parser that remembers when it has read what tools do: who takes messages late does not make tools slow. */
export const timed = (parser: Parser): Effect.Effect<Parser> =>
  Effect.withFiberRuntime((fiber) =>
    isHeard(fiber)
      ? Effect.clockWith((clock) => Effect.succeed(watched(parser, (batch) => stamped(batch, clock))))
      : Effect.succeed(parser)
  )

// ---------------------------------------------------------------------------

interface Trace {
  readonly span: Tracer.Span
  attempts: number
}

/** Traced calls that go on, by their ids. */
const going = new Map<string, Trace>()

const common = ({ id, options }: ObservedCall): Record<string, unknown> => ({
  [Attribute.providerName]: "anthropic",
  [Attribute.system]: "anthropic",
  [Attribute.callId]: id,
  ...(options.model === undefined ? {} : { [Attribute.requestModel]: options.model })
})

const waits: ReadonlyArray<Events.EventType> = ["Retrying", "Queued", "RateLimited", "Parked", "Unparked"]

/** One for all buses and calls. */
const noteWait = (event: Events.Event): void => {
  const trace = event.callId === undefined ? undefined : going.get(event.callId)
  if (trace === undefined) return
  const note = (name: string, attributes: Readonly<Record<string, unknown>>) =>
    trace.span.event(name, BigInt(event.at) * 1_000_000n, { ...attributes })
  switch (event._tag) {
    case "Retrying":
      return note(SpanEvent.retrying, {
        [Attribute.attemptNumber]: event.attempt,
        "ccflow.delay_ms": event.delayMs,
        [Attribute.errorType]: event.error._tag
      })
    case "Queued":
      return note(SpanEvent.queued, { "ccflow.waited_ms": event.waitedMs })
    case "RateLimited":
      return note(SpanEvent.rateLimited, { "ccflow.waited_ms": event.waitedMs })
    case "Parked": {
      const until = dateText(event.until)
      return note(SpanEvent.parked, {
        "ccflow.limit": event.limit,
        ...(until === undefined ? {} : { "ccflow.until": until })
      })
    }
    case "Unparked":
      return note(SpanEvent.unparked, { "ccflow.limit": event.limit, "ccflow.waited_ms": event.waitedMs })
  }
}
