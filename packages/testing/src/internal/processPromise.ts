/** What the promises of a service that starts CLIs are written with. */
import type { CliProcess, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Subject } from "../CliProcessSuite.js"
import { BrokenPromise } from "./promise.js"
import { fieldsOf } from "./protocol/turn.mjs"

/** The service, and what it runs. */
export interface Tested extends Subject {
  readonly service: Context.Tag.Service<CliProcess>
}

export const graces = { interrupt: 400, terminate: 400, kill: 1000 }

/** What a close may take beyond its graces, on a busy machine. */
export const toleranceMs = 1500

export const mebibyte = 1024 * 1024

/** Starts `fake-claude` with this script. */
export const open = ({ args = [], command, env, service }: Tested, script: object, more: Partial<Invocation> = {}) =>
  service.open({
    command,
    files: [],
    graces,
    ...more,
    args: [...args, "-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose", ...more.args ?? []],
    env: { ...env, ...more.env, FAKE_CLAUDE_SCRIPT: JSON.stringify(script) }
  })

/** In a scope of its own. `close` gives how many milliseconds it took. */
export const opened = (tested: Tested, script: object, more?: Partial<Invocation>) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const cli = yield* Scope.extend(open(tested, script, more), scope)
    const close = Effect.gen(function*() {
      const from = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      yield* Scope.close(scope, Exit.void)
      return (yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - from
    })
    return { cli, close }
  })

/** The output up to where the text that was read is enough, or to its end. */
const read = (cli: RunningCli, enough: (text: string) => boolean) =>
  Effect.gen(function*() {
    const decoder = new TextDecoder()
    let [text, bytes] = ["", 0]
    while (!enough(text)) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) break
      for (const chunk of chunks) {
        text += decoder.decode(chunk, { stream: true })
        bytes += chunk.length
      }
    }
    return { text, bytes }
  })

/** The output up to and with this text. */
export const readUntil = (cli: RunningCli, text: string) =>
  Effect.gen(function*() {
    const { text: seen } = yield* read(cli, (seen) => seen.includes(text))
    if (seen.includes(text)) return seen
    return yield* broken(`the output ended, with ${yield* cli.stderrTail} on stderr`, text, seen.slice(-1000))
  })

/** The output up to its end. */
export const readAll = (cli: RunningCli) => read(cli, () => false)

export interface Told {
  readonly argv: ReadonlyArray<string>
  readonly cwd: unknown
  readonly env: unknown
  readonly files: Readonly<Record<string, unknown>>
  readonly alive: Readonly<Record<string, unknown>>
}

/** The next line of the process that tells of itself and its surroundings. */
export const told = (cli: RunningCli): Effect.Effect<Told, BrokenPromise> =>
  Effect.gen(function*() {
    const seen = yield* readUntil(cli, "\"type\":\"told\"")
    const rest = seen.endsWith("\n") ? "" : yield* readUntil(cli, "\n")
    const line = `${seen}${rest}`.split("\n").findLast((line) => line.includes("\"type\":\"told\"")) ?? ""
    const { alive, argv, cwd, env, files } = fieldsOf(JSON.parse(line))
    return {
      argv: Array.isArray(argv) ? argv.map(String) : [],
      cwd,
      env,
      files: fieldsOf(files),
      alive: fieldsOf(alive)
    }
  })

/** What another process beside the one that is tested sees. */
export const beside = (
  tested: Tested,
  look: { readonly files?: ReadonlyArray<string>; readonly alive?: ReadonlyArray<number> }
) => Effect.scoped(Effect.flatMap(open(tested, { start: [{ tell: look }] }), told))

/** A line of the CLI's input. */
export const prompt = (content: string): string =>
  `${JSON.stringify({ type: "user", message: { role: "user", content } })}\n`

export const broken = (what: string, expected: unknown, actual: unknown) =>
  Effect.fail(new BrokenPromise({ what, expected, actual }))

export const holds = (what: string, condition: boolean, actual: unknown = condition) =>
  condition ? Effect.void : broken(what, true, actual)

/** How it ended, where a wrapper may have told of a signal by its code. */
export const endOf = (cli: RunningCli) =>
  Effect.map(cli.exit, ({ code, signal }) => signal ?? signals[code ?? 0] ?? code)

const signals: Readonly<Record<number, string>> = { 130: "SIGINT", 137: "SIGKILL", 143: "SIGTERM" }
