/** Where the command writes: the answer to stdout, everything else to stderr. */
import type { ClaudeError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Logs from "@ccflow/core/Logs"
import type { Message } from "@ccflow/core/Message"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { text } from "node:stream/consumers"
import { stripVTControlCharacters } from "node:util"
import { invalidOption } from "./internal/invalidOption.js"
import { printable } from "./internal/safe.js"

export class Terminal extends Context.Tag("ccflow/Terminal")<Terminal, {
  /** Somebody reads along: text is shown as it comes. */
  readonly interactive: boolean
  readonly readPrompt: Effect.Effect<string, InvalidOptionsError>
  readonly text: (message: Message) => Effect.Effect<void>
  readonly json: (message: Message) => Effect.Effect<void>
  readonly structured: (message: Message) => Effect.Effect<void>
  /** What was asked for, as it is. */
  readonly say: (text: string) => Effect.Effect<void>
  /** What was asked for, coloured where that can be seen. Nothing in it that is not ours may steer a terminal. */
  readonly paint: (text: (colour: boolean) => string) => Effect.Effect<void>
  /** A line for a person who reads along, and for nobody else. */
  readonly note: (text: string) => Effect.Effect<void>
  /** A line that also a program's log should have. */
  readonly warn: (text: string) => Effect.Effect<void>
  /** Ends the last line. */
  readonly end: Effect.Effect<void>
  readonly fail: (error: ClaudeError) => Effect.Effect<void>
}>() {}

/** What a terminal is made of. */
export interface Sink {
  readonly out: (text: string) => Effect.Effect<void>
  readonly err: (text: string) => Effect.Effect<void>
  /** Ends the line that `out` has begun, where there is one. */
  readonly endLine: Effect.Effect<void>
  readonly outIsTerminal: boolean
  readonly errIsTerminal: boolean
}

export const make = ({ endLine, err, errIsTerminal, out, outIsTerminal }: Sink): Terminal["Type"] => {
  const wanted = (process.env["NO_COLOR"] ?? "") === ""
  const colour = errIsTerminal && wanted
  const dim = (text: string) => colour ? `\u001b[2m${text}\u001b[22m` : text
  const red = (text: string) => colour ? `\u001b[31m${text}\u001b[39m` : text
  const safe = errIsTerminal ? printable : (text: string) => text

  const answer = (text: string) => text === "" ? Effect.void : out(outIsTerminal ? printable(text) : text)
  const line = (text: string) => Effect.zipRight(outIsTerminal ? endLine : Effect.void, err(text))
  const note = (text: string) => errIsTerminal ? line(`${dim(safe(text))}\n`) : Effect.void

  return {
    interactive: outIsTerminal,
    readPrompt: Effect.suspend(() => process.stdin.isTTY === true ? Effect.fail(noPrompt) : readAll),
    json: (message) => answer(`${JSON.stringify(message)}\n`),
    structured: (message) =>
      message._tag === "Result" && message.origin === undefined
        ? answer(`${JSON.stringify(message.structuredOutput, undefined, 2)}\n`)
        : notes(message, note),
    text: (message) => {
      if (message._tag !== "Text" || message.parentToolUseId !== undefined) return notes(message, note)
      return message.retract === undefined
        ? answer(message.content)
        : Effect.andThen(endLine, note("The connection was cut: the answer above is void and starts again."))
    },
    say: (text) => Effect.zipRight(endLine, answer(text)),
    paint: (text) => Effect.zipRight(endLine, out(text(outIsTerminal && wanted))),
    note,
    warn: (text) => line(`${dim(safe(text))}\n`),
    end: endLine,
    fail: (error) => Effect.andThen(endLine, err(`${red(`ccflow: ${error._tag}:`)} ${safe(error.message)}\n`))
  }
}

/** This process's own terminal, pipe or file. Colour only on a terminal, and never against `NO_COLOR`. */
export const layer: Layer.Layer<Terminal> = Layer.sync(Terminal, () => {
  const { stderr, stdout } = process
  let lineOpen = false
  const out = (text: string) =>
    Effect.suspend(() => {
      lineOpen = !text.endsWith("\n")
      return write(stdout, text)
    })
  return make({
    out,
    err: (text) => write(stderr, text),
    endLine: Effect.suspend(() => lineOpen ? out("\n") : Effect.void),
    outIsTerminal: stdout.isTTY === true,
    errIsTerminal: stderr.isTTY === true
  })
})

/** What is logged, as a line: as the environment says, and without what it keeps secret. */
export const lines: Logger.Logger<unknown, string> = Logger.make((options) => (lineLogger ??= linesOf({})).log(options))

/** What is logged goes to stderr: stdout has the answer, and nothing else. */
export const logger: Logger.Logger<unknown, void> = Logger.withConsoleError(lines)

/** From the level on that the environment asks for; warnings where it does not. */
export const logging: Layer.Layer<never, InvalidOptionsError> = Layer.unwrapEffect(
  Effect.map(Logs.fromEnvironment, ({ format, level }) => {
    lineLogger = linesOf({ format })
    return Logs.layerWith(logger, level)
  })
)

/** Help and versions are printed by the parser of arguments: with its colours only where they are wanted. */
export const withPlainConsole = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  process.stdout.isTTY === true && (process.env["NO_COLOR"] ?? "") === ""
    ? effect
    : Effect.consoleWith((console) =>
      Effect.withConsole(effect, {
        ...console,
        log: (...parts) => console.log(...parts.map(plain)),
        error: (...parts) => console.error(...parts.map(plain))
      })
    )

// ---------------------------------------------------------------------------

const linesOf = (options: Pick<Logs.LogOptions, "format">) =>
  Logs.make({ ...options, secrets: Logs.secretsOf(process.env) })

let lineLogger: Logger.Logger<unknown, string> | undefined

const plain = (part: unknown): unknown => typeof part === "string" ? stripVTControlCharacters(part) : part

const noPrompt = invalidOption("prompt", "there is none", "Write it behind the command, or pipe it in.")

/** What a person wants to know of the work behind the answer. */
const notes = (message: Message, note: (text: string) => Effect.Effect<void>): Effect.Effect<void> => {
  switch (message._tag) {
    case "ToolUse":
      return note(`> ${firstLine(message.tool)} ${summary(message.input)}`)
    case "ToolResult":
      return message.isError ? note(`  failed: ${firstLine(message.content)}`) : Effect.void
    case "PermissionDenied":
      return note(`  not allowed: ${firstLine(message.tool)}`)
    case "ApiRetry": {
      const { attempt, delayMs, error, maxRetries } = message
      return note(`  waiting ${(delayMs / 1000).toFixed(1)} s: ${error} (${attempt}/${maxRetries})`)
    }
    default:
      return Effect.void
  }
}

const summary = (input: unknown): string => {
  const [first] = typeof input === "object" && input !== null ? Object.values(input) : []
  return typeof first === "string" ? firstLine(first) : ""
}

const firstLine = (text: string): string => {
  const line = printable(text.trim().split("\n")[0] ?? "").replace(/\p{Cf}/gu, "")
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}

/** Waits for slow readers. One that has gone away ends the command as it ends others in a pipe. */
const write = (stream: NodeJS.WriteStream, text: string): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    stream.write(text, (error) => resume(error == null ? Effect.void : Effect.interrupt))
  })

const readAll = Effect.promise(() => text(process.stdin)).pipe(
  Effect.filterOrFail((text) => text.trim() !== "", () => noPrompt)
)
