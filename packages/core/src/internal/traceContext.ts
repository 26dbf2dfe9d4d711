import * as Context from "effect/Context"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import type { Invocation } from "../CliProcess.js"

/** The W3C context of a span as variables of an environment. */
export const traceVariables = (span: Tracer.AnySpan): Invocation["env"] | undefined => {
  const { sampled, spanId, traceId } = span
  if (!isId(traceId, 32) || !isId(spanId, 16)) return undefined
  return {
    TRACEPARENT: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`,
    // That of another trace, which this process may have been given, is not its.
    TRACESTATE: stateOf(span)
  }
}

/** The nearest span that was made elsewhere: what a program passes on that makes none of its own. */
export const outer = (span: Tracer.AnySpan | undefined): Tracer.AnySpan | undefined =>
  span === undefined || span._tag === "ExternalSpan" ? span : outer(Option.getOrUndefined(span.parent))

// ---------------------------------------------------------------------------

const isId = (text: string, length: number): boolean =>
  text.length === length && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text)

/** Where OpenTelemetry's own tracer for Effect keeps it. */
const State = Context.GenericTag<{ readonly serialize: () => string }>("@effect/opentelemetry/Tracer/OtelTraceState")

/** A trace has one state: spans get it from their parents. */
const stateOf = (span: Tracer.AnySpan): string | undefined => {
  const own = Option.getOrUndefined(Context.getOption(span.context, State))
  if (own !== undefined) return own.serialize() || undefined
  return span._tag === "Span" && Option.isSome(span.parent) ? stateOf(span.parent.value) : undefined
}
