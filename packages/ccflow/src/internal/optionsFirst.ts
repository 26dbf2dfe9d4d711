import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"

/** The options of a command, as they are written: those with a value, and those without. */
export interface Known {
  readonly valued: ReadonlyArray<string>
  readonly bare: ReadonlyArray<string>
}

/**
 * The parser wants options before the words; people write them where they like. Behind `--` all is words.
 */
export const optionsFirst = (
  args: ReadonlyArray<string>,
  known: Known,
  help = "ccflow --help"
): Effect.Effect<ReadonlyArray<string>, InvalidOptionsError> => {
  const valued = new Set([...known.valued, "--log-level", "--completions"])
  const bare = new Set([...known.bare, "-h", "--help", "--version", "--wizard"])
  const flags: Array<string> = []
  const words: Array<string> = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    const name = arg.split("=", 1)[0]!
    if (arg === "--") {
      words.push(...args.slice(i + 1))
      break
    }
    if (!arg.startsWith("-") || arg === "-") words.push(arg)
    else if (valued.has(arg) && i + 1 < args.length) flags.push(arg, args[++i]!)
    else if (valued.has(name) || bare.has(name)) flags.push(arg)
    else return Effect.fail(unknownOption(name, help))
  }
  return Effect.succeed(words.length === 0 ? flags : [...flags, "--", ...words])
}

// ---------------------------------------------------------------------------

const unknownOption = (name: string, help: string) =>
  new InvalidOptionsError({
    field: name,
    detail: "there is no such option",
    hint: `See ${help}; a prompt that begins with a dash goes behind --.`
  })
