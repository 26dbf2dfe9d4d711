import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Session } from "@ccflow/core/Session"
import * as Effect from "effect/Effect"
import type { Terminal } from "../Terminal.js"
import { count, dollars, plural } from "./amounts.js"
import { oneLine } from "./safe.js"
import * as Table from "./table.js"

/** The commands that a conversation knows of itself. All others are Claude Code's. */
export type Name = keyof typeof descriptions

const descriptions = {
  model: "[name]  use another model from now on; without a name: which there are",
  fork: "go on in a branch of this conversation; the other one stays as it is",
  context: "what fills the model's context window",
  cost: "what this conversation has come to",
  help: "this",
  exit: "leave, as Ctrl-D does",
  quit: "the same"
} as const

export const parse = (text: string): { readonly name: Name; readonly argument: string } | undefined => {
  const [, name = "", argument = ""] = /^\/(\w+)(?:\s+(.*))?$/s.exec(text.trim()) ?? []
  return isName(name) ? { name, argument: argument.trim() } : undefined
}

/** Those that only ask the session. */
export const answer = (
  name: Exclude<Name, "fork" | "exit" | "quit">,
  argument: string,
  session: Session,
  terminal: Terminal["Type"]
): Effect.Effect<void, ClaudeError> => {
  switch (name) {
    case "model":
      return argument === ""
        ? Effect.flatMap(session.supportedModels, (models) =>
          terminal.say(Table.render(
            ["model", Table.grows("")],
            models.map(({ description, value }) => [value, description ?? ""])
          )))
        : Effect.zipRight(session.setModel(argument), terminal.note(`From now on: ${oneLine(argument)}`))
    case "context":
      return Effect.flatMap(session.contextUsage, ({ categories, maxTokens, percentage, totalTokens }) =>
        terminal.say(
          `${count(totalTokens)} of ${count(maxTokens)} tokens, ${Math.round(percentage)} %\n` +
            Table.render(
              [Table.grows(""), Table.right("tokens")],
              categories.map(({ name, tokens }) => [name, count(tokens)])
            )
        ))
    case "cost":
      return Effect.flatMap(session.stats, ({ costUsd, durationMs, inputTokens, outputTokens, turns }) =>
        terminal.say(
          `${plural(turns, "turn")}, ${count(inputTokens)} tokens in, ${count(outputTokens)} out, ` +
            `${dollars(costUsd)}, ${(durationMs / 1000).toFixed(1)} s\n`
        ))
    case "help":
      return terminal.say(help(terminal.interactive))
  }
}

// ---------------------------------------------------------------------------

const isName = (name: string): name is Name => Object.hasOwn(descriptions, name)

const keys = `
Return sends; Alt-Return, or a backslash before it, begins a new line. Up and down: what was written before.
While Claude works, what you send goes into the turn. What comes while you write is shown when the line is sent or empty.
Ctrl-C interrupts the turn; at an empty line, twice: leaves. Ctrl-D leaves.
`

const help = (interactive: boolean): string =>
  [
    ...Object.entries(descriptions).map(([name, text]) => `${`/${name}`.padEnd(9)} ${text}`),
    "Other commands that begin with a slash go to Claude Code.",
    ...(interactive ? [keys.trim()] : []),
    ""
  ].join("\n")
