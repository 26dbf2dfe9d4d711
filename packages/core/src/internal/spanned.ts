import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.js"
import type { Message, Result } from "../Message.js"
import { errorFacts, plainError, sayable } from "./errorFacts.js"
import { lookedOnAt } from "./onlooker.js"
import { Attribute, CurrentContent } from "./spanNames.js"
import type { Open } from "./streamed.js"

/** Where a span is made: who makes it, and what it may say. */
export interface Setting {
  readonly tracer: Tracer.Tracer
  readonly clock: Clock.Clock
  /** What was said may be told. */
  readonly content: boolean
}

/** What a span that is recorded sees of its run. */
export interface Watch {
  readonly see: (batch: ReadonlyArray<Message>) => void
  /** The end, before the span's own, with the result of the user's prompt. */
  readonly end: (at: bigint, result: Result | undefined) => void
}

/** What a span is like. */
export interface Kind {
  readonly name: string
  readonly kind: Tracer.SpanKind
  readonly attributes: () => Readonly<Record<string, unknown>>
  readonly watch: (span: Tracer.Span, setting: Setting) => Watch
  /** Told that it has begun, recorded or not. What it gives is told of the end. */
  readonly begun?: (span: Tracer.Span) => () => void
  /** Put around the run where there is a span. */
  readonly around?: (open: Open) => Open
}

/** Somebody may see the spans that are made here. Effect's own tracer shows them to nobody. */
export const isHeard = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  fiber.currentTracer !== unheard && fiber.getFiberRef(FiberRef.currentTracerEnabled)

/**
 * A span around a run. It begins when the run is opened, is the parent of what happens in it, also where that is read by
 * another fiber, and ends once: with the run's end or failure, or when whoever reads it has left. Without a tracer that
 * somebody listens to it costs two comparisons.
 */
export const spanned = (kind: Kind) => (open: Open): Open =>
  Effect.withFiberRuntime((fiber) => {
    if (!isHeard(fiber)) return open
    const options = { kind: kind.kind, attributes: kind.attributes(), captureStackTrace: false }
    return Effect.flatMap(Effect.makeSpan(kind.name, options), (span) => {
      const setting: Setting = {
        tracer: fiber.currentTracer,
        clock: Context.get(fiber.currentDefaultServices, Clock.Clock),
        content: Context.get(fiber.currentContext, CurrentContent)
      }
      const watch = span.sampled ? kind.watch(span, setting) : undefined
      let told: (() => void) | undefined
      const within = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, Tracer.ParentSpan, span)
      return lookedOnAt(Effect.map(within(kind.around?.(open) ?? open), within), {
        begin: () => {
          told = kind.begun?.(span)
        },
        see: watch?.see,
        end: (outcome, result, failure) => {
          const now = setting.clock.unsafeCurrentTimeNanos()
          watch?.end(now, result)
          span.attribute(Attribute.outcome, outcome)
          const without = result === undefined || result.isError ? left : Exit.void
          span.end(now, failure === undefined ? without : refused(span, failure))
          told?.()
        }
      })
    })
  })

/** A failure as a span may have it. */
export const spanFailure = (name: string, message: string): Exit.Exit<never, Error> =>
  Exit.fail(plainError(name, message))

/** It was left before its end. */
export const left: Exit.Exit<never> = Exit.interrupt(FiberId.none)

// ---------------------------------------------------------------------------

const unheard = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const refused = (span: Tracer.Span, failure: ClaudeError | "defect"): Exit.Exit<never, Error> => {
  span.attribute(Attribute.errorType, failure === "defect" ? failure : failure._tag)
  if (failure === "defect") return spanFailure("defect", "a defect")
  for (const [name, value] of Object.entries(errorFacts(failure))) span.attribute(`ccflow.error.${name}`, value)
  return Exit.fail(sayable(failure))
}
