// The CLI in another environment: behind a wrapper command, and with the variables that it needs and no others. How it is
// stopped, what it leaves behind and how its output is read stay those of the standard spawner.
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import * as CliProcess from "@ccflow/core/CliProcess"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import { makeClient } from "ccflow"
import { Layer } from "effect"
import { realpathSync } from "node:fs"
import { fileURLToPath } from "node:url"

// As `env -i` would, but `env -i NAME=value claude` would show the values to everybody in the process list.
const needed = /^(PATH|HOME|LANG|TMPDIR|(ANTHROPIC|CLAUDE|DISABLE)_.*)$/
const dropped = () =>
  Object.fromEntries(Object.keys(process.env).filter((name) => !needed.test(name)).map((name) => [name, undefined]))

/**
 * Behind `nice`, which becomes the CLI and so is all that has to be stopped. Other wrappers go the same way:
 *
 * - `systemd-run --user --scope -p MemoryMax=2G -- claude …`, `prlimit`, `setpriv`, `bwrap`: they become the CLI, too.
 * - `docker run --rm -i --init --env ANTHROPIC_API_KEY -v $TMPDIR:$TMPDIR:ro image claude …`: `--env NAME` without a value
 *   takes it from the environment of `docker`; signals are passed on; `files` are read where the host has them.
 * - `docker exec -i` and `ssh host -- …` pass no signals on: the CLI there sees the end of its input when they are stopped,
 *   and leaves when its turn is done. `ssh` hands its arguments to a shell: quote them. Copy `invocation.files` over.
 *
 * `CliProcessSuite` of `@ccflow/testing` says whether a spawner keeps what the standard one promises.
 */
export const layer = NodeCliProcess.layer.pipe(
  CliProcess.mapInvocation((invocation) => ({
    ...invocation,
    command: "nice",
    args: ["-n", "5", invocation.command, ...invocation.args],
    env: { ...dropped(), ...invocation.env }
  }))
)

// Run by itself, and not imported by a test:
if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.env["DEPLOY_KEY"] = "a secret of the program"
  const config = ClaudeConfig.layerWith({ allowedTools: ["Bash"] })
  await using client = makeClient(Claude.layerDefault.pipe(Layer.provide([layer, MessageParser.layer, config])))

  const run = client.query("What is your environment?")
  for await (const message of run) {
    if (message._tag === "ToolResult") console.log(message.content)
  }
  console.log((await run.result).result)
}
