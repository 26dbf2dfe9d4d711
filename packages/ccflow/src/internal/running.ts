import * as Command from "@effect/cli/Command"
import type { Usage } from "@effect/cli/Usage"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Known, optionsFirst } from "./optionsFirst.js"
import { version } from "./version.js"

/** Runs a command on what stands behind its name, with its options wherever they were written. @internal */
export const running =
  <Name extends string, R, E, A>(name: string, command: Command.Command<Name, R, E, A>) =>
  (program: readonly [string, string], args: ReadonlyArray<string>) =>
    Effect.flatMap(
      optionsFirst(args, knownOf(Command.getUsage(command)), `${name} --help`),
      (args) => Command.run(command, { name, version })([...program, ...args])
    )

/** The options of a command, as it says itself. */
export const knownOf = (usage: Usage): Known => {
  switch (usage._tag) {
    case "Named": {
      const names = usage.names.filter((name) => name.startsWith("-"))
      return Option.isSome(usage.acceptedValues) ? { valued: names, bare: [] } : { valued: [], bare: names }
    }
    case "Optional":
    case "Repeated":
      return knownOf(usage.usage)
    case "Alternation":
    case "Concat": {
      const left = knownOf(usage.left)
      const right = knownOf(usage.right)
      return { valued: [...left.valued, ...right.valued], bare: [...left.bare, ...right.bare] }
    }
    default:
      return { valued: [], bare: [] }
  }
}
