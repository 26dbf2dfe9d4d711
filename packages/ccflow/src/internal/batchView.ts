import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import { lines, logger as terminalLogger, type Terminal } from "../Terminal.js"
import * as Bar from "./batchBar.js"
import { oneLine, printable } from "./safe.js"
import { clipped } from "./width.js"

/** Shows how far a batch is: on a terminal in one line at its bottom, else in a line now and then. */
export interface View {
  /** Shows no sooner than it may, and then the newest. */
  readonly show: (progress: Bar.Progress) => Effect.Effect<void>
  /** A line that stays. */
  readonly tell: (text: string) => Effect.Effect<void>
  /** Shows nothing more, and leaves nothing behind. */
  readonly end: Effect.Effect<void>
}

export const make = (terminal: Terminal["Type"]): Effect.Effect<View, never, Scope.Scope> =>
  isDrawn() ? atTerminal(terminal) : byLine(terminal)

/** What is logged takes the place of what is drawn, which comes again below it. */
export const logging: Layer.Layer<never> = Layer.unwrapEffect(Effect.sync(() =>
  isDrawn()
    ? Logger.replace(
      terminalLogger,
      Logger.map(lines, (line) => {
        process.stderr.write(`\r\u001b[J${printable(line)}\n`)
      })
    )
    : Layer.empty
))

// ---------------------------------------------------------------------------

const isDrawn = (): boolean => process.stderr.isTTY === true && process.env["TERM"] !== "dumb"

const atTerminal = (terminal: Terminal["Type"]): Effect.Effect<View, never, Scope.Scope> =>
  Effect.gen(function*() {
    let newest: Bar.Progress | undefined
    let drawn = false
    let over = false
    // What is written by two at once would stand in one line.
    const one = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const erase = Effect.suspend(() => {
      if (!drawn) return Effect.void
      drawn = false
      return write("\r\u001b[J")
    })
    const draw = Effect.gen(function*() {
      if (newest === undefined || over) return
      const text = Bar.line(newest, yield* Clock.currentTimeMillis, columns() - keptFree)
      drawn = true
      yield* write(`\r\u001b[J${text}`)
    })
    const end = Effect.uninterruptible(one(Effect.zipRight(Effect.sync(() => over = true), erase)))
    yield* Effect.addFinalizer(() => end)
    // Also while nothing changes: time passes.
    yield* Effect.forkScoped(
      Effect.forever(Effect.zipRight(Effect.uninterruptible(one(draw)), Effect.sleep(drawnEvery)))
    )
    return {
      show: (progress) => Effect.sync(() => newest = progress),
      tell: (text) => Effect.uninterruptible(one(Effect.zipRight(erase, terminal.warn(clipped(oneLine(text), 1000))))),
      end
    }
  })

const byLine = (terminal: Terminal["Type"]): Effect.Effect<View> =>
  Effect.sync(() => {
    let last: number | undefined
    return {
      show: (progress) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (now - (last ?? progress.startedAt) < toldEveryMs) return Effect.void
          last = now
          return terminal.warn(Bar.line(progress, now, Infinity))
        }),
      tell: (text) => terminal.warn(oneLine(text)),
      end: Effect.void
    }
  })

/** At most ten times a second. */
const drawnEvery = "100 millis"
const toldEveryMs = 10_000

/** For the terminal's own `^C`: behind the last cell a new line would begin, and this one be left behind. */
const keptFree = 3

const columns = (): number => process.stderr.columns || 80

/** A reader who is gone is told by others. */
const write = (text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    process.stderr.write(text, () => resume(Effect.void))
  })
