import { spawn, spawnSync } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { follow, type Program } from "./programs.js"

const fixture = fileURLToPath(new URL("../fixtures/terminal.py", import.meta.url))

/** Why no test can have a terminal here; nothing where it can. */
export const noTerminal: string | undefined = process.platform === "win32"
  ? "Windows has no pty"
  : spawnSync("python3", ["-c", "import pty, fcntl, termios"]).status === 0
  ? undefined
  : "needs python3 with pty"

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly columns?: number
  readonly rows?: number
}

/** A command on a terminal of its own, and whoever sits at it. */
export class Seat implements AsyncDisposable {
  private readonly program: Program
  private seen = 0
  readonly ended: Promise<number>
  private readonly columns: number

  constructor(command: ReadonlyArray<string>, { columns = 80, cwd, env = {}, rows = 24 }: TerminalOptions = {}) {
    this.columns = columns
    this.program = follow(spawn("python3", [fixture, String(columns), String(rows), ...command], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { PATH: process.env["PATH"], TERM: "xterm", ...env },
      ...(cwd === undefined ? {} : { cwd })
    }))
    this.ended = this.program.ended.then(({ code }) => code ?? -1)
  }

  /** Everything that was written, as it was written. */
  get written(): string {
    return this.program.stdout()
  }

  type(text: string): void {
    this.program.child.stdin?.write(text)
  }

  /** Waits for text that is written after what was waited for last. */
  async until(text: string, withinMs = 30_000): Promise<void> {
    const deadline = performance.now() + withinMs
    for (;;) {
      const at = this.written.indexOf(text, this.seen)
      if (at >= 0) {
        this.seen = at + text.length
        return
      }
      if (performance.now() > deadline) {
        throw new Error(`Not written: ${JSON.stringify(text)}\n${JSON.stringify(this.written.slice(this.seen))}`)
      }
      await sleep(10)
    }
  }

  /** Waits until the terminal shows a row that is this. */
  async untilRow(row: string, withinMs = 30_000): Promise<void> {
    const deadline = performance.now() + withinMs
    while (!this.screen.includes(row)) {
      if (performance.now() > deadline) throw new Error(`No such row: ${row}\n${this.screen.join("\n")}`)
      await sleep(10)
    }
  }

  /** Waits for an answer that is this row, and for the end of its turn: the prompt is there again. */
  async answered(row: string): Promise<void> {
    await this.untilRow(row)
    const shown = this.screen.lastIndexOf(row)
    const deadline = performance.now() + 30_000
    while (this.screen.lastIndexOf(">") <= shown) {
      if (performance.now() > deadline) throw new Error(`The turn does not end:\n${this.screen.join("\n")}`)
      await sleep(10)
    }
  }

  /** What whoever sits there sees, and could scroll back to. */
  get screen(): ReadonlyArray<string> {
    return shown(this.written, this.columns)
  }

  /** The window is closed. */
  hangUp(): void {
    this.program.child.kill("SIGUSR1")
  }

  terminate(): void {
    this.program.child.kill("SIGTERM")
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.program.child.exitCode === null) this.hangUp()
    const late = setTimeout(() => this.program.child.kill("SIGKILL"), 20_000)
    await this.ended
    clearTimeout(late)
  }
}

/** As much of a terminal as the command uses; a wide character fills its cell and leaves the next one empty. */
const shown = (output: string, columns: number): ReadonlyArray<string> => {
  const rows: Array<Array<string>> = [[]]
  let row = 0
  let column = 0
  const put = (text: string) => {
    if (column >= columns) {
      row++
      column = 0
    }
    const cells = rows[row] ??= []
    while (cells.length < column) cells.push(" ")
    const wide =
      /\p{Emoji_Presentation}|[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6B\uFF01-\uFF60]/u
    cells[column++] = text
    if (wide.test(text)) cells[column++] = ""
  }
  const parts = output.matchAll(/\u001b\[([?\d;]*)([A-Za-z])|[\s\S]/gu)
  for (const [whole, parameters = "", kind] of parts) {
    const n = Math.max(1, Number(parameters) || 1)
    if (kind === "A") row = Math.max(0, row - n)
    else if (kind === "C") column += n
    else if (kind === "J") {
      rows.splice(row + 1)
      rows[row] = (rows[row] ?? []).slice(0, column)
    } else if (kind !== undefined) continue
    else if (whole === "\r") column = 0
    else if (whole === "\n") {
      row++
      rows[row] ??= []
    } else put(whole)
  }
  return rows.map((cells) => cells.join("").trimEnd())
}
