import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { ClaudeError } from "../ClaudeError.js"
import type { CallOutcome } from "../Events.js"
import type { Message } from "../Message.js"
import { errorFacts, plainError, sayable } from "./errorFacts.js"
import { Attribute, CurrentContent } from "./spanNames.js"
import type { End, Open, Pull } from "./streamed.js"

/** Where a span is made: who makes it, and what it may say. @internal */
export interface Setting {
  readonly tracer: Tracer.Tracer
  readonly clock: Clock.Clock
  /** What was said may be told. */
  readonly content: boolean
}

/** What a span that is recorded sees of its run. @internal */
export interface Watch {
  readonly see: (batch: ReadonlyArray<Message>) => void
  /** The user's answer is there: who leaves now leaves nothing unfinished. */
  readonly answered: () => boolean
  /** It was interrupted, and has said so. */
  readonly interrupted: () => boolean
  /** The end, before the span's own. */
  readonly end: (at: bigint) => void
}

/** What a span is like. @internal */
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

/** Somebody may see the spans that are made here. Effect's own tracer shows them to nobody. @internal */
export const isHeard = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  fiber.currentTracer !== unheard && fiber.getFiberRef(FiberRef.currentTracerEnabled)

/**
 * A span around a run. It begins when the run is opened, is the parent of what happens in it, also where that is read by
 * another fiber, and ends once: with the run's end or failure, or when whoever reads it has left. Without a tracer that
 * somebody listens to it costs two comparisons.
 *
 * @internal
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
      const ending = new Ending(span, setting.clock, watch, kind.begun?.(span))
      return within(kind.around?.(open) ?? open, span, watch, ending)
    })
  })

/** A failure as a span may have it. @internal */
export const spanFailure = (name: string, message: string): Exit.Exit<never, Error> =>
  Exit.fail(plainError(name, message))

/** It was left before its end. @internal */
export const left: Exit.Exit<never> = Exit.interrupt(FiberId.none)

// ---------------------------------------------------------------------------

const unheard = Context.get(DefaultServices.liveServices, Tracer.Tracer)

const within = (open: Open, span: Tracer.Span, watch: Watch | undefined, ending: Ending): Open => {
  const failed = (cause: Cause.Cause<ClaudeError | End>) => Effect.sync(() => ending.failed(cause))
  const read = (pull: Pull): Pull => {
    const told = Effect.tapErrorCause(Effect.provideService(pull, Tracer.ParentSpan, span), failed)
    return watch === undefined ? told : Effect.map(told, (batch) => {
      watch.see(batch)
      return batch
    })
  }
  return Effect.addFinalizer(() => Effect.sync(() => ending.left())).pipe(
    Effect.zipRight(Effect.provideService(open, Tracer.ParentSpan, span)),
    Effect.tapErrorCause(failed),
    Effect.map(read)
  )
}

class Ending {
  private readonly span: Tracer.Span
  private readonly clock: Clock.Clock
  private readonly watch: Watch | undefined
  private readonly told: (() => void) | undefined
  private over = false

  constructor(span: Tracer.Span, clock: Clock.Clock, watch: Watch | undefined, told: (() => void) | undefined) {
    this.span = span
    this.clock = clock
    this.watch = watch
    this.told = told
  }

  left(): void {
    if (this.watch?.answered() === true) this.end(this.watch.interrupted() ? "interrupted" : "success", Exit.void)
    else this.end("interrupted", left)
  }

  failed(cause: Cause.Cause<ClaudeError | End>): void {
    // Whoever interrupts it closes it as well.
    if (this.over || Cause.isInterruptedOnly(cause)) return
    const failure = Option.getOrUndefined(Cause.failureOption(cause))
    if (failure === undefined) {
      this.span.attribute(Attribute.errorType, "defect")
      return this.end("failure", spanFailure("defect", "a defect"))
    }
    if (!Option.isOption(failure)) return this.refused(failure)
    return Option.isSome(failure) ? this.refused(failure.value) : this.left()
  }

  private refused(error: ClaudeError): void {
    this.span.attribute(Attribute.errorType, error._tag)
    for (const [name, value] of Object.entries(errorFacts(error))) {
      this.span.attribute(`ccflow.error.${name}`, value)
    }
    this.end("failure", Exit.fail(sayable(error)))
  }

  private end(outcome: CallOutcome, exit: Exit.Exit<unknown, unknown>): void {
    if (this.over) return
    this.over = true
    const now = this.clock.unsafeCurrentTimeNanos()
    this.watch?.end(now)
    this.span.attribute(Attribute.outcome, outcome)
    this.span.end(now, exit)
    this.told?.()
  }
}
