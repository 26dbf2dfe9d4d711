import * as PlatformTerminal from "@effect/platform/Terminal"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as readline from "node:readline"
import { type Edited, empty, inserted, layout, press } from "./editor.js"
import { hangUp } from "./hangUp.js"

/** What the person at the terminal does. */
export type Act =
  | { readonly _tag: "Line"; readonly text: string }
  /** Ctrl-C; `cleared` says that there was something on the line, which is gone now. */
  | { readonly _tag: "Interrupt"; readonly cleared: boolean }
  /** Ctrl-D, or the terminal is gone. */
  | { readonly _tag: "End" }

export interface ScreenOptions {
  /** The lines of earlier conversations, the latest last. What is sent is added. */
  readonly history: Array<string>
  readonly act: (act: Act) => void
}

/**
 * The terminal of a conversation: a line to write on at the bottom, what is said above it. While something is written
 * during a turn the answer waits, so that neither garbles the other.
 */
export class Screen {
  private readonly options: ScreenOptions
  private line: Edited
  /** The line is on the screen, with the cursor in this row of it. */
  private cursorRow: number | undefined
  private atLineStart = true
  /** Nothing runs: the prompt is shown, also before an empty line. */
  private waiting = false
  private held = ""
  private pasted: string | undefined
  private asking: { readonly keys: Mailbox.Mailbox<PlatformTerminal.UserInput>; readonly from: number } | undefined
  private emptied = Deferred.unsafeMake<void>(FiberId.none)
  private drawing = false

  constructor(options: ScreenOptions) {
    this.options = options
    this.line = empty(options.history)
  }

  readonly print = (text: string): Effect.Effect<void> => Effect.sync(() => this.show(text))

  /** Ends the line that the text above has reached. */
  readonly endLine: Effect.Effect<void> = Effect.sync(() => {
    const open = this.held === "" ? !this.atLineStart : !this.held.endsWith("\n")
    if (open) this.show("\n")
  })

  /** Whether the next line begins a turn. */
  readonly wait = (waiting: boolean): Effect.Effect<void> =>
    Effect.sync(() => {
      this.waiting = waiting
      this.refresh()
    })

  /** For questions: whoever reads has all keys, and what is printed meanwhile is held back. */
  readonly terminal: PlatformTerminal.Terminal = PlatformTerminal.Terminal.of({
    columns: Effect.sync(columns),
    rows: Effect.sync(rows),
    isTTY: Effect.succeed(true),
    readLine: Effect.fail(new PlatformTerminal.QuitException()),
    display: (text) => Effect.sync(() => this.write(text)),
    readInput: Effect.zipRight(
      // A letter of a line that is being written is no answer.
      Effect.suspend(() => this.line.text === "" ? Effect.void : Deferred.await(this.emptied)),
      Effect.acquireRelease(
        Effect.tap(Mailbox.make<PlatformTerminal.UserInput>(), (keys) => Effect.sync(() => this.ask(keys))),
        () => Effect.sync(() => this.answered())
      )
    )
  })

  private readonly onKey = (text: string | undefined, key: readline.Key): void => {
    const { ctrl = false, meta = false, name = "", sequence = "" } = key
    if (this.asking !== undefined) return this.answer(text, { name, ctrl, meta, shift: key.shift ?? false })
    if (name === "paste-start") this.pasted = ""
    else if (name === "paste-end") {
      this.line = inserted(this.line, this.pasted ?? "")
      this.pasted = undefined
    } else if (this.pasted !== undefined) this.pasted += sequence
    else if (ctrl && name === "c") this.interrupt()
    else if (ctrl && name === "d" && this.line.text === "") this.options.act({ _tag: "End" })
    else if (ctrl && name === "l") this.wipe()
    else if (ctrl && name === "z") return this.suspend()
    else if (name === "return" && !meta) {
      if (!this.continues()) return this.submit()
    } else {
      this.line = press(this.line, { text: text ?? "", name, ctrl, meta }, this.options.history, columns())
    }
    if (this.drawing) return
    this.drawing = true
    queueMicrotask(() => {
      this.drawing = false
      this.refresh()
    })
  }

  private readonly onEnd = (): void => {
    hangUp.seen = true
    this.asking?.keys.unsafeDone(Exit.void)
    this.options.act({ _tag: "End" })
  }
  private readonly onResize = (): void => this.refresh()

  start(): void {
    const { stdin, stdout } = process
    readline.emitKeypressEvents(stdin)
    this.raw(true)
    stdin.on("keypress", this.onKey).on("end", this.onEnd).on("error", this.onEnd)
    stdout.on("resize", this.onResize)
    // Whoever handles a signal is left to end by himself, in order.
    process.on("SIGHUP", this.onEnd)
    stdin.resume()
  }

  stop(): void {
    const { stdin, stdout } = process
    this.release()
    if (!this.atLineStart) this.write("\n")
    stdin.off("keypress", this.onKey).off("end", this.onEnd)
    stdout.off("resize", this.onResize)
    process.off("SIGHUP", this.onEnd)
    this.raw(false)
    stdin.pause()
  }

  // --- keys ---

  /** A backslash at the end of a line says that it goes on, for keyboards without Alt. */
  private continues(): boolean {
    const { cursor, text } = this.line
    if (cursor !== text.length || !text.endsWith("\\")) return false
    this.line = inserted({ ...this.line, text: text.slice(0, -1), cursor: cursor - 1 }, "\n")
    return true
  }

  private submit(): void {
    const { text } = this.line
    const { history } = this.options
    if (text.trim() === "") return
    this.line = { ...this.line, cursor: text.length }
    this.draw()
    this.write("\n")
    this.cursorRow = undefined
    if (history.at(-1) !== text) history.push(text)
    this.clear()
    this.refresh()
    this.options.act({ _tag: "Line", text })
  }

  private interrupt(): void {
    const cleared = this.line.text !== ""
    if (cleared) {
      this.clear()
      this.refresh()
    }
    this.options.act({ _tag: "Interrupt", cleared })
  }

  private clear(): void {
    this.line = empty(this.options.history)
  }

  private suspend(): void {
    this.erase()
    this.raw(false)
    process.once("SIGCONT", () => {
      this.raw(true)
      this.refresh()
    })
    process.kill(process.pid, "SIGTSTP")
  }

  private raw(on: boolean): void {
    try {
      process.stdin.setRawMode(on)
    } catch {
      // The terminal is gone.
    }
    // Pasted text is told from typed text.
    process.stdout.write(on ? "\u001b[?2004h" : "\u001b[?2004l")
  }

  // --- questions ---

  private ask(keys: Mailbox.Mailbox<PlatformTerminal.UserInput>): void {
    this.release()
    if (!this.atLineStart) this.write("\n")
    this.asking = { keys, from: performance.now() + reading }
  }

  private answer(text: string | undefined, key: PlatformTerminal.Key): void {
    if (this.asking === undefined) return
    const leaves = key.ctrl && (key.name === "c" || key.name === "d")
    if (!leaves && performance.now() < this.asking.from) return
    this.asking.keys.unsafeOffer({ input: Option.fromNullable(text), key })
    if (leaves) this.asking.keys.unsafeDone(Exit.void)
  }

  private answered(): void {
    this.asking = undefined
    if (!this.atLineStart) this.write("\n")
    this.release()
    this.refresh()
  }

  // --- drawing ---

  show(text: string): void {
    if (this.asking !== undefined || (this.cursorRow !== undefined && !this.waiting)) {
      this.held += text
      return
    }
    this.erase()
    this.write(text)
    if (this.waiting) this.refresh()
  }

  private refresh(): void {
    if (this.asking !== undefined) return
    if (this.line.text === "") {
      Deferred.unsafeDone(this.emptied, Effect.void)
      this.emptied = Deferred.unsafeMake(FiberId.none)
    }
    const shows = this.line.text !== "" || this.waiting
    if (!shows || (this.waiting && this.held !== "")) this.release()
    if (shows) this.draw()
  }

  /** What was held back is said in place of the line. */
  private release(): void {
    const { held } = this
    this.erase()
    this.held = ""
    this.write(held)
  }

  private draw(): void {
    const { column, row, rows: all } = layout(this.line, columns())
    if (this.cursorRow === undefined && !this.atLineStart) this.write("\n")
    // A line that is taller than the screen is shown around the cursor.
    const room = Math.max(1, rows() - 1)
    const first = Math.max(0, row - room + 1)
    const shown = all.slice(first, first + room)
    this.erase()
    const back = shown.length - 1 - (row - first)
    process.stdout.write(`${shown.join("\r\n")}${back > 0 ? `\u001b[${back}A` : ""}\r\u001b[${column}C`)
    this.cursorRow = row - first
  }

  private wipe(): void {
    process.stdout.write("\u001b[2J\u001b[H")
    this.cursorRow = undefined
    this.atLineStart = true
  }

  private erase(): void {
    if (this.cursorRow === undefined) return
    process.stdout.write(`${this.cursorRow > 0 ? `\u001b[${this.cursorRow}A` : ""}\r\u001b[J`)
    this.cursorRow = undefined
  }

  private write(text: string): void {
    if (text === "") return
    this.atLineStart = text.endsWith("\n")
    process.stdout.write(text)
  }
}

// ---------------------------------------------------------------------------

const columns = (): number => process.stdout.columns || 80
const rows = (): number => process.stdout.rows || 24

/** Nobody has read a question sooner: what is typed by then was not meant for it. */
const reading = 200
