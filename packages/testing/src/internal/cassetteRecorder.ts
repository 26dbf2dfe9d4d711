import {
  type Ending,
  endLine,
  type Event,
  eventLine,
  isObject,
  saidIn,
  type Start,
  startLine
} from "./cassetteFormat.js"
import type { Names } from "./cassetteNames.js"
import { type Scrub, scrubArgs } from "./cassetteScrub.js"

/** Writes down one process as lines of a cassette, from what goes in and comes out of it in any pieces. */
export const recorderOf = (number: number, scrub: Scrub, names: Names, now: () => number) => {
  const input = new LineSplitter()
  const output = new LineSplitter()
  const waits: Array<number> = []
  let lastAt = now()

  const elapsed = () => {
    const before = lastAt
    lastAt = now()
    return Math.max(0, Math.round(lastAt - before))
  }

  const heard = (event: Event) => {
    elapsed()
    return eventLine(number, event)
  }

  const printed = (event: Event) => {
    waits.push(elapsed())
    return eventLine(number, event)
  }

  const safe = (line: string, side: "in" | "out") => {
    const said = names.said(scrub.said(saidIn(line)), side)
    return isObject(said) ? inOrder(said) : said
  }

  return {
    start: ({ args, env }: Start) =>
      startLine(number, {
        args: scrubArgs(args, scrub.text).map((arg, index) =>
          /^--(?:session-id|resume)(?:=|$)|^-r$/.test(arg) ||
            /^(?:--(?:session-id|resume)|-r)$/.test(args[index - 1] ?? "")
            ? names.session(arg)
            : names.text(arg)
        ),
        env: env.filter((name) => /^(?:ANTHROPIC|CLAUDE|MCP)_/.test(name)).sort()
      }),

    heard: (chunk: string | Uint8Array) =>
      input.push(chunk).map((line) => heard({ _tag: "in", said: safe(line, "in") })).join(""),

    /** The end of what it hears. */
    eof: () => {
      const rest = input.end()
      return (rest === "" ? "" : heard({ _tag: "in", said: safe(rest, "in") })) + heard({ _tag: "eof", said: true })
    },

    signal: (name: string) => heard({ _tag: "signal", said: name }),

    said: (chunk: string | Uint8Array) =>
      output.push(chunk).map((line) => printed({ _tag: "out", said: safe(line, "out") })).join(""),

    end: (ending: Ending) => {
      const rest = output.end()
      const last = rest === "" ? "" : printed({ _tag: "rest", said: names.text(scrub.text(rest)) })
      waits.push(elapsed())
      return last + endLine(number, { ...ending, stderr: names.text(scrub.text(ending.stderr)) }, waits)
    }
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
