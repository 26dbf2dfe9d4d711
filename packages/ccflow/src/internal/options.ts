import type { QueryOptions } from "@ccflow/core/AgentOptions"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Terminal } from "../Terminal.js"
import type { Known } from "./optionsFirst.js"
import { knownOf } from "./running.js"

/** What every way of asking takes. @internal */
export const asking = {
  model: Options.text("model").pipe(
    Options.withAlias("m"),
    Options.withDescription("A model's name or alias."),
    Options.optional
  ),
  systemPrompt: Options.text("system-prompt").pipe(
    Options.withDescription("Replaces Claude Code's own system prompt."),
    Options.optional
  ),
  maxTurns: Options.integer("max-turns").pipe(Options.withDescription("Stop after this many turns."), Options.optional),
  outputSchema: Options.file("output-schema", { exists: "yes" }).pipe(
    Options.withDescription("A file with the JSON Schema of the answer, which is then printed as JSON."),
    Options.optional
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Print every message as one line of JSON."))
}

/** */
export const askingKnown: Known = knownOf(Options.getUsage(Options.all(asking)))

/** As they were parsed. @internal */
export interface Asking {
  readonly model: Option.Option<string>
  readonly systemPrompt: Option.Option<string>
  readonly maxTurns: Option.Option<number>
  readonly outputSchema: Option.Option<string>
  readonly json: boolean
}

/** What they ask for, and how its messages are shown. @internal */
export const read = (
  { json, maxTurns, model, outputSchema, systemPrompt }: Asking,
  terminal: Terminal["Type"]
): Effect.Effect<
  { readonly options: QueryOptions; readonly show: (message: Message) => Effect.Effect<void> },
  InvalidOptionsError,
  FileSystem.FileSystem
> =>
  Effect.map(
    Option.isSome(outputSchema) ? readSchema(outputSchema.value) : Effect.succeed(undefined),
    (schema) => ({
      options: {
        model: Option.getOrUndefined(model),
        systemPrompt: Option.getOrUndefined(systemPrompt),
        maxTurns: Option.getOrUndefined(maxTurns),
        outputSchema: schema,
        includePartialMessages: terminal.interactive && !json
      },
      show: json ? terminal.json : schema === undefined ? terminal.text : terminal.structured
    })
  )

// ---------------------------------------------------------------------------

const readSchema = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.readFileString(path)).pipe(
    Effect.flatMap((text) => Effect.try((): { readonly [key: string]: unknown } => JSON.parse(text))),
    Effect.mapError(() =>
      new InvalidOptionsError({
        field: "outputSchema",
        detail: `${path} is not JSON`,
        hint: "Give a file with a JSON Schema."
      })
    )
  )
