// The command line: what the script rejects of it, and the CLI.
import { arity, readArgs } from "../../src/internal/protocol/flags.mjs"
import { die, refuse } from "./output.mjs"
import { flags, prompts, script } from "./state.mjs"

const isRejected = (name) => script.rejectFlags === true ? !arity.has(name) : script.rejectFlags?.includes(`--${name}`)

export const readCommandLine = () => {
  const given = readArgs(process.argv.slice(2))
  prompts.push(...given.words)
  for (const { name, token, values } of given.flags) {
    if (isRejected(name)) die(1, `error: unknown option '${token}'`)
    flags.set(name, values[0] ?? true)
  }
}

/** Refuses the combinations that the CLI refuses. */
export const checkFlags = () => {
  const [format, input, id] = ["output-format", "input-format", "session-id"].map((name) => flags.get(name))
  const forked = flags.has("fork-session") || !flags.get("resume")
  refuse(input === "stream-json" && format !== input, "--input-format=stream-json requires output-format=stream-json.")
  refuse(
    format === "stream-json" && !flags.has("verbose"),
    "When using --print, --output-format=stream-json requires --verbose"
  )
  refuse(
    id !== undefined && !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id),
    "Invalid session ID. Must be a valid UUID."
  )
  refuse(id && !forked, "--session-id with --resume also needs --fork-session.")
}
