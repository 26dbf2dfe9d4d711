import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { assert, it } from "vitest"
import { askingKnown } from "../src/internal/options.js"
import { knownOf } from "../src/internal/running.js"

it("a command's options are known from itself, with their aliases, those that take a value apart", () => {
  const command = Command.make("make", {
    text: Options.text("text").pipe(Options.withAlias("t"), Options.optional),
    all: Options.integer("all").pipe(Options.repeated),
    kind: Options.choice("kind", ["json", "md"]).pipe(Options.withDefault("json")),
    file: Options.file("file").pipe(Options.orElse(Options.directory("folder"))),
    yes: Options.boolean("yes").pipe(Options.withAlias("y")),
    words: Args.text({ name: "-word" }).pipe(Args.repeated)
  })
  const { bare, valued } = knownOf(Command.getUsage(command))
  assert.sameMembers([...valued], ["-t", "--text", "--all", "--kind", "--file", "--folder"])
  assert.sameMembers([...bare], ["-y", "--yes"])
  assert.sameMembers([...askingKnown.valued], ["-m", "--model", "--system-prompt", "--max-turns", "--output-schema"])
  assert.deepStrictEqual(askingKnown.bare, ["--json"])
})
