import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import { assert, it } from "vitest"
import { asking } from "../src/internal/options.js"
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
  const { bare, valued, words } = knownOf(Command.getUsage(command))
  assert.deepStrictEqual(Object.fromEntries(valued), {
    "-t": "text",
    "--text": "text",
    "--all": "integer",
    "--kind": "json | md",
    "--file": "file",
    "--folder": "directory"
  })
  assert.deepStrictEqual([bare, words], [["-y", "--yes"], true])
  assert.isFalse(knownOf(Command.getUsage(Command.make("wordless", {}))).words)
  const usual = knownOf(Options.getUsage(Options.all(asking)))
  assert.sameMembers([...usual.valued.keys()], ["-m", "--model", "--system-prompt", "--max-turns", "--output-schema"])
  assert.deepStrictEqual([usual.bare, usual.words], [["--json"], false])
})
