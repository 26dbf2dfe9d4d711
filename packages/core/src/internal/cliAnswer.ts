import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type QueryOptions, toEnv } from "../AgentOptions.js"
import type { CliNotFoundError, CliSpawnError } from "../ClaudeError.js"
import type { CliExit, CliProcess, Graces } from "../CliProcess.js"

/**
 * What the CLI says to a question that calls no model.
 *
 * @internal
 */
export interface CliAnswer extends CliExit {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Asks it and reads the answer; `undefined` when it took too long, and was ended.
 *
 * @internal
 */
export const askCli = (
  open: CliProcess["Type"]["open"],
  { cliPath = "claude", cwd, env }: QueryOptions,
  args: ReadonlyArray<string>,
  timeoutMs: number
): Effect.Effect<CliAnswer | undefined, CliNotFoundError | CliSpawnError> =>
  Effect.gen(function*() {
    const cli = yield* open({ command: cliPath, args, cwd, env: toEnv({ env }), files: [], graces })
    yield* cli.closeInput
    const decoder = new TextDecoder()
    let stdout = ""
    for (;;) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) break
      for (const chunk of chunks) if (stdout.length < mostCharacters) stdout += decoder.decode(chunk, { stream: true })
    }
    const { code, signal } = yield* cli.exit
    return { code, signal, stdout, stderr: yield* cli.stderrTail }
  }).pipe(
    Effect.scoped,
    Effect.timeoutOption(timeoutMs),
    Effect.map(Option.getOrUndefined)
  )

// ---------------------------------------------------------------------------

/** It has no work that could be saved. */
const graces: Graces = { interrupt: 300, terminate: 300, kill: 500 }

const mostCharacters = 65_536
