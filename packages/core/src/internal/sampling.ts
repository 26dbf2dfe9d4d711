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
      return sampled ? span : new Unrecorded(span)
    }
  })

// ---------------------------------------------------------------------------

/** By the last eight bytes of the id, as everybody does it, so that a trace is sampled everywhere or nowhere. */
const isWithin = (traceId: string, ratio: number): boolean =>
  ratio >= 1 || (ratio > 0 && BigInt(`0x${traceId.slice(-16)}`) >> 1n < BigInt(Math.round(ratio * 2 ** 53)) << 10n)

/** It is never told of its end, so it is never exported. */
class Unrecorded implements Tracer.Span {
  readonly _tag = "Span"
  readonly name: string
  readonly spanId: string
  readonly traceId: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly context: Tracer.Span["context"]
  readonly attributes: ReadonlyMap<string, unknown> = new Map()
  readonly links: ReadonlyArray<Tracer.SpanLink> = []
  readonly sampled = false
  readonly kind: Tracer.SpanKind
  status: Tracer.SpanStatus

  constructor({ context, kind, name, parent, spanId, status, traceId }: Tracer.Span) {
    this.name = name
    this.spanId = spanId
    this.traceId = traceId
    this.parent = parent
    this.context = context
    this.kind = kind
    this.status = status
  }

  end(endTime: bigint, exit: Parameters<Tracer.Span["end"]>[1]): void {
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
  }

  attribute(): void {}

  event(): void {}

  addLinks(): void {}
}
