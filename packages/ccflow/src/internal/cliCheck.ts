import { toInvocation } from "@ccflow/core/AgentOptions"
import { CliProcess } from "@ccflow/core/CliProcess"
import * as NodeDoctor from "@ccflow/node/NodeDoctor"
import * as Effect from "effect/Effect"
import { oneLine } from "./safe.js"
import { clipped } from "./width.js"

type Check = NodeDoctor.Check<NodeDoctor.Services>

/**
 * A check that has its doubts, and whether the program takes what every query begins with. A wrapper that says no version,
 * or one of its own, hands that on; another program refuses it, and no query can work.
 */
export const withFlags = (cliPath: string, doubting: Check): Check =>
  NodeDoctor.check(
    doubting.name,
    Effect.gen(function*() {
      const found = yield* doubting.run
      return found.status === "warning" ? NodeDoctor.together([found, ...yield* refusal(cliPath)], found) : found
    })
  )

// ---------------------------------------------------------------------------

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
