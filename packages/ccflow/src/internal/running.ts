import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import type { Usage } from "@effect/cli/Usage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Simplify } from "effect/Types"
import { invalidOption } from "./invalidOption.js"
import { oneLine } from "./safe.js"
import { version } from "./version.js"

/**
 * A command: what it is, a paragraph each, what it takes, and what it does. It runs on what stands behind its name, with
 * its options wherever they were written.
 */
export const command = <const Config extends Command.Command.Config, R, E>(
  name: string,
  about: ReadonlyArray<string>,
  config: Config,
  run: (given: Simplify<Command.Command.ParseConfig<Config>>) => Effect.Effect<void, E, R>
) => {
  const made = Command.make(name.split(" ").at(-1) ?? name, config, run).pipe(
    Command.withDescription(HelpDoc.blocks(about.map(HelpDoc.p)))
  )
  const known = knownOf(Command.getUsage(made))
  return (program: readonly [string, string], args: ReadonlyArray<string>) =>
    Effect.flatMap(
      optionsFirst(args, known, name),
      (args) => Command.run(made, { name, version })([...program, ...args])
    )
}

/** What a command takes, as it says itself. */
export interface Known {
  /** Each option that has a value, and what is a value: `integer`, `json | md`. */
  readonly valued: ReadonlyMap<string, string>
  readonly bare: ReadonlyArray<string>
  /** Whether it takes words, too. */
  readonly words: boolean
}

/** As its usage tells it. */
export const knownOf = (usage: Usage): Known => {
  switch (usage._tag) {
    case "Named": {
      const names = usage.names.filter((name) => name.startsWith("-"))
      const words = usage.names.some((name) => name.startsWith("<"))
      return Option.match(usage.acceptedValues, {
        onNone: () => ({ valued: new Map(), bare: names, words }),
        onSome: (values) => ({ valued: new Map(names.map((name) => [name, values])), bare: [], words })
      })
    }
    case "Optional":
    case "Repeated":
      return knownOf(usage.usage)
    case "Alternation":
    case "Concat": {
      const [left, right] = [knownOf(usage.left), knownOf(usage.right)]
      return {
        valued: new Map([...left.valued, ...right.valued]),
        bare: [...left.bare, ...right.bare],
        words: left.words || right.words
      }
    }
    default:
      return { valued: new Map(), bare: [], words: false }
  }
}

/**
 * The parser wants options before the words; people write them where they like. Behind `--` all is words. What it does
 * not name when it is wrong, a value, is refused here.
 */
export const optionsFirst = (
  args: ReadonlyArray<string>,
  known: Known,
  command: string
): Effect.Effect<ReadonlyArray<string>, InvalidOptionsError> =>
  Effect.gen(function*() {
    const valued = new Map([...known.valued, ["--log-level", ""], ["--completions", ""]])
    const bare = new Set([...known.bare, "-h", "--help", "--version", "--wizard"])
    const flags: Array<string> = []
    const words: Array<string> = []
    const rest = args[Symbol.iterator]()
    for (const arg of rest) {
      const [name = "", ...parts] = arg.split("=")
      const kind = valued.get(name)
      if (arg === "--") words.push(...rest)
      else if (!arg.startsWith("-") || arg === "-") words.push(arg)
      else if (kind === undefined && !bare.has(name)) return yield* unknownOption(name, command)
      else {
        flags.push(arg)
        const value = kind === undefined || parts.length > 0 ? { value: parts.join("=") } : rest.next()
        if (kind === undefined || value.done === true) continue
        if (parts.length === 0) flags.push(value.value)
        if (!isOf(kind, value.value)) return yield* badValue(name, value.value, kind, command)
      }
    }
    if (words[0] !== undefined && !known.words) return yield* noWords(words[0], command)
    return words.length === 0 ? flags : [...flags, "--", ...words]
  })

// ---------------------------------------------------------------------------

const kinds: Readonly<Record<string, string>> = { integer: "no whole number", float: "no number" }

const isOf = (kind: string, value: string): boolean => {
  if (kind === "integer" || kind === "float") {
    return value.trim() !== "" && (kind === "float" ? Number.isFinite : Number.isInteger)(Number(value))
  }
  return !kind.includes(" | ") || kind.split(" | ").includes(value)
}

const badValue = (name: string, value: string, kind: string, command: string) => {
  const why = kind.includes(" | ") ? `none of ${kind.replaceAll(" | ", ", ")}` : kinds[kind]
  return invalidOption(name, `"${oneLine(value)}" is ${why}`, `See ${command} --help.`)
}

const unknownOption = (name: string, command: string) => {
  const hint = `See ${command} --help; a prompt that begins with a dash goes behind --.`
  return invalidOption(name, "there is no such option", hint)
}

const noWords = (word: string, command: string) =>
  invalidOption(oneLine(word), "it belongs to no option", `See ${command} --help.`)
