import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** Which traces are recorded. */
export interface Sampler {
  /** As the span that it hangs from, where there is one. */
  readonly parentBased: boolean
  /** The part of the traces, by their ids. */
  readonly ratio: number
}

/** A tracer that makes spans of all, and records those of some traces. */
export const sampling = (tracer: Tracer.Tracer, { parentBased, ratio }: Sampler): Tracer.Tracer =>
  Tracer.make({
    context: (f, fiber) => tracer.context(f, fiber),
    span: (name, parent, context, links, startTime, kind, options) => {
      const span = tracer.span(name, parent, context, links, startTime, kind, options)
      const sampled = parentBased && Option.isSome(parent) ? parent.value.sampled : isWithin(span.traceId, ratio)
      return sampled ? span : unrecorded(span)
    }
  })

// ---------------------------------------------------------------------------

/** By the last eight bytes of the id, as everybody does it, so that a trace is sampled everywhere or nowhere. */
const isWithin = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || (ratio > 0 && BigInt(`0x${traceId.slice(-16)}`) >> 1n < BigInt(Math.round(ratio * 2 ** 53)) << 10n)

/** The span itself is never told of its end, so it is never exported. */
const unrecorded = (span: Tracer.Span): Tracer.Span => {
  let { status } = span
  return {
    ...span,
    _tag: "Span",
    sampled: false,
    attributes: new Map(),
    links: [],
    get status() {
      return status
    },
    end: (endTime, exit) => {
      status = { _tag: "Ended", startTime: status.startTime, endTime, exit }
    },
    attribute: () => {},
    event: () => {},
    addLinks: () => {}
  }
}
