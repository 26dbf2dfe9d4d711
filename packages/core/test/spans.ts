import { assert } from "@effect/vitest"
import { Cause, type Context, Exit, Layer, Option, Tracer } from "effect"

/** A span as a tracer of the program's was told it. */
export interface Recorded extends Tracer.Span {
  readonly events: Array<{ readonly name: string; readonly attributes: Readonly<Record<string, unknown>> }>
  readonly ends: Array<Exit.Exit<unknown, unknown>>
}

export interface Recorder {
  readonly spans: ReadonlyArray<Recorded>
  readonly layer: Layer.Layer<never>
  /** What was made under it, in order. */
  readonly tree: () => ReadonlyArray<string>
  readonly named: (name: string) => ReadonlyArray<Recorded>
  readonly only: (name: string) => Recorded
}

const hex = (value: number, length: number) => value.toString(16).padStart(length, "0")

/** A tracer as a program may provide one, and all that it was told. */
export const recorder = ({ sampled = true }: { readonly sampled?: boolean } = {}): Recorder => {
  const spans: Array<Recorded> = []
  const make = (
    name: string,
    parent: Option.Option<Tracer.AnySpan>,
    context: Context.Context<never>,
    links: ReadonlyArray<Tracer.SpanLink>,
    startTime: bigint,
    kind: Tracer.SpanKind
  ): Recorded => {
    const attributes = new Map<string, unknown>()
    const events: Recorded["events"] = []
    const ends: Recorded["ends"] = []
    let status: Tracer.SpanStatus = { _tag: "Started", startTime }
    return {
      _tag: "Span",
      name,
      parent,
      context,
      links,
      kind,
      sampled,
      traceId: Option.match(parent, { onNone: () => hex(spans.length + 1, 32), onSome: ({ traceId }) => traceId }),
      spanId: hex(spans.length + 1, 16),
      attributes,
      events,
      ends,
      get status() {
        return status
      },
      attribute: (key, value) => attributes.set(key, value),
      addLinks: () => {},
      event: (event, _at, given) => events.push({ name: event, attributes: given ?? {} }),
      end: (endTime, exit) => {
        ends.push(exit)
        status = { _tag: "Ended", startTime, endTime, exit }
      }
    }
  }
  const depth = (span: Tracer.AnySpan): number =>
    span._tag === "Span" && Option.isSome(span.parent) ? 1 + depth(span.parent.value) : 0
  const named = (name: string) => spans.filter((span) => span.name === name)
  return {
    spans,
    named,
    only: (name) => {
      const [first, ...more] = named(name)
      assert.strictEqual(more.length, 0, `more than one ${name}`)
      return first ?? assert.fail(`no span ${name}`)
    },
    tree: () => {
      const below = (parent: Recorded | undefined): ReadonlyArray<string> =>
        spans.filter((span) => Option.getOrUndefined(span.parent) === parent).flatMap((span) => [
          `${"  ".repeat(depth(span))}${span.name}`,
          ...below(span)
        ])
      return below(undefined)
    },
    layer: Layer.setTracer(Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const span = make(name, parent, context, links, startTime, kind)
        spans.push(span)
        return span
      },
      context: (f) => f()
    }))
  }
}

/** Each span ends exactly once, and none before its children have. */
export const assertWhole = ({ spans }: Recorder): void => {
  for (const span of spans) {
    assert.strictEqual(span.ends.length, 1, `${span.name} has ended ${span.ends.length} times`)
    const parent = Option.getOrUndefined(span.parent)
    if (parent?._tag !== "Span" || parent.status._tag !== "Ended" || span.status._tag !== "Ended") continue
    assert.isTrue(span.status.startTime >= parent.status.startTime, `${span.name} begins before its parent`)
  }
}

/** How a span has ended. */
export const endOf = (span: Recorded): string => {
  const [exit] = span.ends
  if (exit === undefined) return "open"
  if (Exit.isSuccess(exit)) return "ok"
  if (Cause.isInterruptedOnly(exit.cause)) return "left"
  const error = Cause.squash(exit.cause)
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

export const said = (span: Recorded): Record<string, unknown> => Object.fromEntries(span.attributes)

/** All that a tracer was told, as text to search. */
export const everything = ({ spans }: Recorder): string =>
  JSON.stringify(spans.map((span) => [span.name, said(span), span.events, endOf(span), span.ends]))
