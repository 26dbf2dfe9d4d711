import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import type * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.js"
import type { Invocation } from "../CliProcess.js"
import * as Events from "../Events.js"
import type { Parser } from "../MessageParser.js"
import { dateText } from "./errorText.js"
import type { ObservedCall } from "./observation.js"
import { Attribute, Span, SpanEvent } from "./spanNames.js"
import { isHeard, spanned } from "./spanned.js"
import { attemptWatch, callWatch, stamped } from "./spanWatch.js"
import type { Open } from "./streamed.js"
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
    watch: (span, setting) => callWatch(call, span, setting),
    begun: (span) => {
      going.set(call.id, { span, attempts: 0 })
      return () => going.delete(call.id)
    },
    around: (open) => Effect.zipRight(events.observe(noteWait, Struct.keys(notes)), open)
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
    watch: attemptWatch
  })

/**
 * What a process is told, so that its own spans join those of whoever starts it: the W3C context of the span that it is
 * started in, which is an attempt's, or of one that the program was given from outside and passes on. Effect's own tracer
 * makes ids that nobody exports: what hangs from them belongs to nothing, so they are not told. What the caller has set
 * stays.
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

type Note<Type extends Events.EventType> = (
  event: Events.EventOf<Type>
) => readonly [name: string, attributes: Record<string, unknown>]

const notes: { readonly [Type in Events.EventType]?: Note<Type> } = {
  Retrying: ({ attempt, delayMs, error }) => [SpanEvent.retrying, {
    [Attribute.attemptNumber]: attempt,
    "ccflow.delay_ms": delayMs,
    [Attribute.errorType]: error._tag
  }],
  Queued: ({ waitedMs }) => [SpanEvent.queued, { "ccflow.waited_ms": waitedMs }],
  RateLimited: ({ waitedMs }) => [SpanEvent.rateLimited, { "ccflow.waited_ms": waitedMs }],
  Parked: ({ limit, until }) => {
    const open = dateText(until)
    return [SpanEvent.parked, { "ccflow.limit": limit, ...(open === undefined ? {} : { "ccflow.until": open }) }]
  },
  Unparked: ({ limit, waitedMs }) => [SpanEvent.unparked, { "ccflow.limit": limit, "ccflow.waited_ms": waitedMs }]
}

/** One for all buses and calls. */
const noteWait = <Type extends Events.EventType>(event: Events.EventOf<Type>): void => {
  const trace = event.callId === undefined ? undefined : going.get(event.callId)
  const note: Note<Type> | undefined = notes[event._tag]
  if (trace === undefined || note === undefined) return
  const [name, attributes] = note(event)
  trace.span.event(name, BigInt(event.at) * 1_000_000n, attributes)
}

/** The W3C context of a span as variables of an environment. */
const traceVariables = (span: Tracer.AnySpan): Invocation["env"] | undefined => {
  const { sampled, spanId, traceId } = span
  return !isId(traceId, 32) || !isId(spanId, 16) ? undefined : {
    TRACEPARENT: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`,
    // That of another trace, which this process may have been given, is not its.
    TRACESTATE: stateOf(span)
  }
}

const isId = (text: string, length: number): boolean =>
  text.length === length && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text)

/** The nearest span that was made elsewhere: what a program passes on that makes none of its own. */
const outer = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined =>
  span === undefined || span._tag === "ExternalSpan" ? span : outer(Option.getOrUndefined(span.parent))

/** A trace has one state: spans get it from their parents. */
const stateOf = (span: Tracer.AnySpan): string | undefined => {
  const own = Option.getOrUndefined(Context.getOption(span.context, State))
  if (own !== undefined) return own.serialize() || undefined
  return span._tag === "Span" && Option.isSome(span.parent) ? stateOf(span.parent.value) : undefined
}

/** Where OpenTelemetry's own tracer for Effect keeps it. */
const State = Context.GenericTag<{ readonly serialize: () => string }>("@effect/opentelemetry/Tracer/OtelTraceState")
