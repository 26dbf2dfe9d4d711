/**
 * The `ccflow` command: a prompt in, text out; what tools do beside it, on a terminal.
 */
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Terminal from "./Terminal.js"

const prompt = Args.text({ name: "prompt" }).pipe(
  Args.withDescription("What to ask. Left out, it is read from stdin."),
  Args.repeated
)

const options = {
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

const ask = Command.make(
  "ccflow",
  { prompt, ...options },
  ({ json, maxTurns, model, outputSchema, prompt, systemPrompt }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const words = prompt.length > 0 ? prompt.join(" ") : yield* terminal.readPrompt
      const schema = Option.isSome(outputSchema) ? yield* readSchema(outputSchema.value) : undefined
      const query: QueryOptions = {
        model: Option.getOrUndefined(model),
        systemPrompt: Option.getOrUndefined(systemPrompt),
        maxTurns: Option.getOrUndefined(maxTurns),
        outputSchema: schema,
        includePartialMessages: terminal.interactive && !json
      }
      const show = json ? terminal.json : schema === undefined ? terminal.text : terminal.structured
      yield* Stream.runForEach(Claude.query(words, query), show)
      yield* terminal.end
    })
).pipe(Command.withDescription("Ask Claude Code."), Command.provide(NodeClaude.layer))

/** Runs the command on arguments such as `process.argv`. Options may stand on either side of the prompt. */
export const run = (argv: ReadonlyArray<string>) =>
  Effect.flatMap(
    optionsFirst(argv.slice(2)),
    (args) => Command.run(ask, { name: "ccflow", version })([...argv.slice(0, 2), ...args])
  )

/** The version of this package. */
export const version = "0.1.0"

// ---------------------------------------------------------------------------
// internal
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

const valued = new Set([
  "-m",
  "--model",
  "--system-prompt",
  "--max-turns",
  "--output-schema",
  "--log-level",
  "--completions"
])
const bare = new Set(["--json", "-h", "--help", "--version", "--wizard"])

/** The parser wants options before the prompt; people write them where they like. Behind `--` all is prompt. */
const optionsFirst = (args: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, InvalidOptionsError> => {
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
    else return Effect.fail(unknownOption(name))
  }
  return Effect.succeed(words.length === 0 ? flags : [...flags, "--", ...words])
}

const unknownOption = (name: string) =>
  new InvalidOptionsError({
    field: name,
    detail: "there is no such option",
    hint: "See ccflow --help; a prompt that begins with a dash goes behind --."
  })
