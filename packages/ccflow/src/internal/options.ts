import type { QueryOptions } from "@ccflow/core/AgentOptions"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import type * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type { Terminal } from "../Terminal.js"
import * as Flags from "./flags.js"
import { invalidOption } from "./invalidOption.js"

/** What every way of asking takes. */
export const asking = {
  model: Flags.optional(Options.text("model").pipe(Options.withAlias("m")), "A model's name or alias."),
  systemPrompt: Flags.text("system-prompt", "Replaces Claude Code's own system prompt."),
  maxTurns: Flags.count("max-turns", "Stop after this many turns."),
  outputSchema: Flags.optional(
    Options.file("output-schema", { exists: "yes" }),
    "A file with the JSON Schema of the answer, which is then printed as JSON."
  ),
  json: Flags.flag("json", "Print every message as one line of JSON.")
}

/** As they were parsed. */
export type Asking = Command.Command.ParseConfig<typeof asking>

/** What they ask for, and how its messages are shown. */
export const read = (
  { json, maxTurns, model, outputSchema: path, systemPrompt }: Asking,
  terminal: Terminal["Type"]
): Effect.Effect<
  { readonly options: QueryOptions; readonly show: (message: Message) => Effect.Effect<void> },
  InvalidOptionsError,
  FileSystem.FileSystem
> =>
  Effect.map(path === undefined ? Effect.succeed(undefined) : readSchema(path), (outputSchema) => ({
    options: { model, systemPrompt, maxTurns, outputSchema, includePartialMessages: terminal.interactive && !json },
    show: json ? terminal.json : outputSchema === undefined ? terminal.text : terminal.structured
  }))

// ---------------------------------------------------------------------------

const readSchema = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.flatMap((text) => Effect.try((): { readonly [key: string]: unknown } => JSON.parse(text))),
    Effect.mapError(() => invalidOption("outputSchema", `${path} is not JSON`, "Give a file with a JSON Schema."))
  )
