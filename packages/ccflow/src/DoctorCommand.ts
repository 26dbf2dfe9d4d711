/** `ccflow doctor`: what is wrong on this machine, and what to do about it. It calls no model. */
import { toInvocation } from "@ccflow/core/AgentOptions"
import { CliProcess } from "@ccflow/core/CliProcess"
import * as Logs from "@ccflow/core/Logs"
import * as NodeDoctor from "@ccflow/node/NodeDoctor"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dirname, resolve } from "node:path"
import { plural } from "./internal/amounts.js"
import * as Flags from "./internal/flags.js"
import { command } from "./internal/running.js"
import { oneLine } from "./internal/safe.js"
import * as Store from "./internal/store.js"
import { knownWindows, storeCheck } from "./internal/storeCheck.js"
import { clipped, padded } from "./internal/width.js"
import { Terminal } from "./Terminal.js"

/** Other commands do not begin with a level that there is not. */
const logs = NodeDoctor.check(
  "logs",
  Effect.match(Logs.fromEnvironment, {
    onFailure: ({ detail, field, hint }) => NodeDoctor.failed(`${field}: ${detail}`, hint),
    onSuccess: ({ level = "warning" }) => NodeDoctor.ok(`to stderr, level ${level}`)
  })
)

export const run = command(
  "ccflow doctor",
  [
    "Looks for what is wrong with Claude Code and this machine, and says what to do. No model is called.",
    "The exit code is 1 when something failed; warnings do not count."
  ],
  {
    json: Flags.flag("json", "Print one object: { ok, failed, warnings, checks }."),
    live: Flags.flag("live", "Start the MCP servers that are configured, to see whether they answer.")
  },
  ({ json, live }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      const kept = yield* Effect.either(Effect.map(Store.path, (path) => resolve(path.trim())))
      const path = Either.getOrUndefined(kept)
      const cliPath = process.env["CCFLOW_CLI_PATH"]?.trim() || "claude"
      const all = yield* NodeDoctor.checks({
        cliPath,
        live,
        folders: path === undefined ? [] : [{ name: "session store", path: dirname(path) }],
        windows: path === undefined ? Effect.succeed([]) : knownWindows(path)
      })
      const checks = all.map((check) => check.name === "version" ? withFlags(cliPath, check) : check)
      const found = diagnosisOf(yield* NodeDoctor.run([...checks, storeCheck(kept), logs]))
      yield* json
        ? terminal.say(`${JSON.stringify(found, undefined, 2)}\n`)
        : terminal.paint((colour) => shown(found, colour))
      if (!found.ok) process.exitCode = 1
    }).pipe(Effect.provide(NodeDoctor.layer))
)

// ---------------------------------------------------------------------------

/**
 * A check that has its doubts, and whether the program takes what every query begins with. A wrapper that says no version,
 * or one of its own, hands that on; another program refuses it, and no query can work.
 */
const withFlags = (cliPath: string, doubting: NodeDoctor.Check<NodeDoctor.Services>) =>
  NodeDoctor.check(
    doubting.name,
    Effect.gen(function*() {
      const found = yield* doubting.run
      return found.status === "warning" ? NodeDoctor.together([found, ...yield* refusal(cliPath)], found) : found
    })
  )

/** Asked with the flags of a query for its version, Claude Code tells it, and asks no model. */
const refusal = (cliPath: string): Effect.Effect<ReadonlyArray<NodeDoctor.Finding>, never, CliProcess> =>
  Effect.gen(function*() {
    const { open } = yield* CliProcess
    const { args, ...invocation } = toInvocation({ cliPath })
    const cli = yield* open({ ...invocation, args: [...args, "--version"] })
    yield* cli.closeInput
    yield* Effect.repeat(cli.stdout, { while: (chunks) => chunks.length > 0 })
    const { code } = yield* cli.exit
    if (code === 0 || code === null) return []
    const words = clipped(oneLine((yield* cli.stderrTail).trim().split("\n", 1)[0] ?? ""), 200)
    const detail = `it is not Claude Code: what every query begins with ends it with code ${code}`
    return [NodeDoctor.failed(
      words === "" ? detail : `${detail}: ${words}`,
      `Set CCFLOW_CLI_PATH to Claude Code's file, or leave it out; ${cliPath} is another program.`
    )]
  }).pipe(
    Effect.scoped,
    Effect.timeoutTo({ duration: "5 seconds", onSuccess: (found) => found, onTimeout: () => [] }),
    Effect.orElseSucceed(() => [])
  )

/** What `--json` prints. */
const diagnosisOf = (checks: ReadonlyArray<NodeDoctor.CheckResult>) => {
  const failed = checks.filter(({ status }) => status === "failed").length
  const warnings = checks.filter(({ status }) => status === "warning").length
  return { ok: failed === 0, failed, warnings, checks }
}

/** For people. What was read somewhere is one line after the other, and can steer no terminal. */
const shown = ({ checks, failed, warnings }: ReturnType<typeof diagnosisOf>, colour: boolean): string => {
  const paint = (code: number, text: string) => colour ? `\u001b[${code}m${text}\u001b[0m` : text
  const width = Math.max(...checks.map(({ name }) => name.length))
  const indent = " ".repeat(width + 4)
  const lines = checks.flatMap(({ detail, fix, name, status }) => {
    const { code, mark } = marks[status]
    const [first = "", ...more] = detail.split("\n").map(oneLine)
    return [
      `${paint(code, mark)} ${padded(name, width)}  ${first}`,
      ...more.map((line) => `${indent}${line}`),
      ...(fix === undefined ? [] : fix.split("\n").map((line) => `${indent}${paint(36, "fix:")} ${oneLine(line)}`))
    ]
  })
  const sum = failed + warnings === 0 ? "Nothing is wrong." : `${failed} failed, ${plural(warnings, "warning")}.`
  return `${[...lines, "", sum].join("\n")}\n`
}

const marks: Readonly<Record<NodeDoctor.CheckResult["status"], { readonly mark: string; readonly code: number }>> = {
  ok: { mark: "✓", code: 32 },
  warning: { mark: "!", code: 33 },
  failed: { mark: "✗", code: 31 },
  skipped: { mark: "-", code: 2 }
}
