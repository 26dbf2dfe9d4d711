import {
  type Ending,
  endLine,
  type Event,
  eventLine,
  isObject,
  type Said,
  saidIn,
  type Start,
  startLine
} from "./cassetteFormat.js"
import type { Names } from "./cassetteNames.js"
import { type Scrub, scrubArgs } from "./cassetteScrub.js"

/** Writes down one process as lines of a cassette, from what goes in and comes out of it in any pieces. */
export class Recorder {
  private readonly number: number
  private readonly scrub: Scrub
  private readonly names: Names
  private readonly now: () => number
  private readonly input = new LineSplitter()
  private readonly output = new LineSplitter()
  private readonly waits: Array<number> = []
  private lastAt: number

  constructor(number: number, scrub: Scrub, names: Names, now: () => number) {
    this.number = number
    this.scrub = scrub
    this.names = names
    this.now = now
    this.lastAt = now()
  }

  start({ args, env }: Start): string {
    return startLine(this.number, {
      args: scrubArgs(args, this.scrub.text).map((arg, index) =>
        /^--(?:session-id|resume)(?:=|$)|^-r$/.test(arg) ||
          /^(?:--(?:session-id|resume)|-r)$/.test(args[index - 1] ?? "")
          ? this.names.session(arg)
          : this.names.text(arg)
      ),
      env: env.filter((name) => /^(?:ANTHROPIC|CLAUDE|MCP)_/.test(name)).sort()
    })
  }

  heard(chunk: string | Uint8Array): string {
    return this.input.push(chunk).map((line) => this.event({ _tag: "In", said: this.safe(line, "in") })).join("")
  }

  /** The end of what it hears. */
  eof(): string {
    const rest = this.input.end()
    return (rest === "" ? "" : this.event({ _tag: "In", said: this.safe(rest, "in") })) + this.event({ _tag: "Eof" })
  }

  signal(name: string): string {
    return this.event({ _tag: "Signal", name })
  }

  said(chunk: string | Uint8Array): string {
    return this.output.push(chunk).map((line) => this.out({ _tag: "Out", said: this.safe(line, "out") })).join("")
  }

  end(ending: Ending): string {
    const rest = this.output.end()
    const last = rest === "" ? "" : this.out({ _tag: "Rest", said: this.names.text(this.scrub.text(rest)) })
    this.waits.push(this.elapsed())
    const stderr = this.names.text(this.scrub.text(ending.stderr))
    return last + endLine(this.number, { ...ending, stderr }, this.waits)
  }

  private out(event: Event): string {
    this.waits.push(this.elapsed())
    return eventLine(this.number, event)
  }

  private event(event: Event): string {
    this.elapsed()
    return eventLine(this.number, event)
  }

  private elapsed(): number {
    const { lastAt } = this
    this.lastAt = this.now()
    return Math.max(0, Math.round(this.lastAt - lastAt))
  }

  private safe(line: string, side: "in" | "out"): Said {
    const said = this.names.said(this.scrub.said(saidIn(line)), side)
    return isObject(said) ? inOrder(said) : said
  }
}

/** Text in pieces as lines, without their ends. */
export class LineSplitter {
  private readonly decoder = new TextDecoder()
  private rest = ""

  push(chunk: string | Uint8Array): ReadonlyArray<string> {
    const text = typeof chunk === "string" ? chunk : this.decoder.decode(chunk, { stream: true })
    const lines = (this.rest + text).split("\n")
    this.rest = lines.pop() ?? ""
    return lines.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line)
  }

  end(): string {
    const { rest } = this
    this.rest = ""
    return rest + this.decoder.decode()
  }
}

// ---------------------------------------------------------------------------

/** What a line is comes first; the rest by the alphabet, as the CLI has no order of its own. */
const inOrder = <A>(frame: { readonly [key: string]: A }): { readonly [key: string]: A } =>
  Object.fromEntries(Object.entries(frame).sort(([one], [other]) => rank(one) - rank(other) || (one < other ? -1 : 1)))

const rank = (key: string): number => {
  const at = first.indexOf(key)
  return at < 0 ? first.length : at
}

const first = ["type", "subtype", "request_id"]
