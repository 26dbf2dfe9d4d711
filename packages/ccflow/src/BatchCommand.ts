/**
 * `ccflow batch`: the prompts of a file or a pipe, so many at a time. Each has one line of JSON in the output when it has
 * ended, and what was killed is gone on with by `--resume`.
 */
import * as Batch from "@ccflow/core/Batch"
import { BatchRepository } from "@ccflow/core/BatchRepository"
import { type ClaudeError, type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Args from "@effect/cli/Args"
import type * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Input from "./internal/batchInput.js"
import * as Output from "./internal/batchOutput.js"
import * as Source from "./internal/batchSource.js"
import * as Tally from "./internal/batchTally.js"
import * as View from "./internal/batchView.js"
import * as CommandClaude from "./internal/commandClaude.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { batchesIn } from "./internal/openBatches.js"
import { openFile } from "./internal/openFile.js"
import * as Options from "./internal/options.js"
import { command } from "./internal/running.js"
import * as Store from "./internal/store.js"
import { Told } from "./internal/told.js"
import * as Terminal from "./Terminal.js"

const { json: _, ...asking } = Options.asking

const options = {
  file: Args.text({ name: "file" }).pipe(
    Args.withDescription("A .txt with a prompt on each line, a .jsonl, a .csv with a header, or - for stdin.")
  ),
  concurrency: Flags.withDefault(CliOptions.withAlias(CliOptions.integer("concurrency"), "c"), 4, "Prompts at once."),
  output: Flags.optional(
    CliOptions.withAlias(CliOptions.text("output"), "o"),
    "The file for the results, one line of JSON for each. Left out, they go to stdout."
  ),
  resume: Flags.flag("resume", "Goes on with an output: what is completed there is not asked again."),
  force: Flags.flag("force", "Overwrites an output that is there."),
  format: Flags.optional(
    CliOptions.choice("format", Input.formats),
    "What the input is. Left out, what its name ends with; txt for a pipe."
  ),
  promptColumn: Flags.text("prompt-column", "Of CSV: where the prompts are. Left out: prompt, or the only column."),
  keyColumn: Flags.text("key-column", "Of CSV: a name for each prompt. Left out: key, where there is such a column."),
  template: Flags.text("template", "Of CSV: the prompt, with {{column}} for what a row has there."),
  maxBudgetUsd: Flags.optional(
    CliOptions.float("max-budget-usd"),
    "For all prompts together, in USD: once it is spent nothing more begins."
  ),
  ...asking
}

type Given = Command.Command.ParseConfig<typeof options>

const batch = (given: Given) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const { options } = yield* Options.read({ ...given, json: true }, terminal)
    const source = yield* sourceOf(given)
    // What is wrong with it is told before anything is asked.
    const total = yield* Source.count(source)
    const output = yield* outputOf(given, source, terminal)
    const tally = new Tally.Tally(total)
    const view = yield* View.make(terminal)
    const records = yield* recordsOf(output, given.resume, terminal)
    // Where there are records, they know what was spent.
    const budget = yield* budgetOf(given, records === undefined ? output.spentUsd : 0)
    const batch = yield* Batch.make(
      Stream.filter(Source.items(source), (item) => tally.begins(item, output.finished)),
      {
        concurrency: given.concurrency,
        maxBudgetUsd: budget,
        options,
        readAhead: source.readAhead,
        ...(records === undefined ? {} : { id: records.id, retryFailed: true })
      }
    ).pipe(Effect.provide(records?.context ?? Context.empty()))
    yield* Effect.forkScoped(Stream.runForEach(batch.progress, (progress) => view.show(tally.seen(progress))))
    const take = (end: Batch.BatchEnd) =>
      Effect.gen(function*() {
        const line = tally.ended(end)
        if (line === undefined) return
        yield* output.write(line)
        if (line.error !== undefined) yield* view.tell(failure(line.index, line.error))
      })
    // What has ended is written, whatever ends the command.
    const writing = yield* Effect.fork(Stream.runForEach(batch.ends, take))
    yield* Effect.onInterrupt(Fiber.join(writing), () =>
      Effect.gen(function*() {
        yield* view.end
        yield* terminal.note("Stopping what runs. Ctrl-C again leaves at once.")
        yield* batch.cancelAll
        yield* Fiber.await(writing)
        yield* terminal.warn(tally.summary)
        if (output.name !== undefined) {
          yield* terminal.warn("Stopped. To go on: give the same command with --resume.")
        }
      }))
    yield* view.end
    yield* terminal.warn(tally.summary)
    if (!tally.allCompleted) return yield* Effect.fail(new Told())
  })).pipe(Effect.provide(Layer.merge(CommandClaude.layerKept, View.logging)))

export const run = command(
  "ccflow batch",
  [
    "Asks many prompts, so many at a time, and writes one line of JSON for each as it ends.",
    "A line of a .jsonl is a text, or an object with prompt, and if wanted key, options and priority.",
    "Code 0 when all are completed, 1 when some are not."
  ],
  options,
  batch
)

// ---------------------------------------------------------------------------

/** Its key may be one that nobody has written. */
const failure = (index: number, { message, tag }: { readonly tag: string; readonly message: string }) =>
  `Prompt ${index + 1} failed: ${tag}: ${message}`

/** Before anything is opened, made or overwritten. */
const sourceOf = (
  { concurrency, file, keyColumn, maxBudgetUsd, promptColumn, template, ...given }: Given
): Effect.Effect<Source.Source, InvalidOptionsError> =>
  Effect.gen(function*() {
    if (concurrency < 1) {
      return yield* invalidOption("--concurrency", "it must be a whole number above 0", "Left out it is 4.")
    }
    if (maxBudgetUsd !== undefined && !(maxBudgetUsd > 0)) {
      return yield* invalidOption("--max-budget-usd", "it must be a number above 0", "Left out there is none.")
    }
    const piped = file === "-"
    const format = given.format ?? (piped ? "txt" : Input.formatOf(file))
    if (format === undefined) {
      const detail = `what is in ${file} cannot be told by its name`
      return yield* invalidOption("file", detail, "Give --format txt, jsonl or csv.")
    }
    if (piped && process.stdin.isTTY === true) {
      return yield* invalidOption("file", "nothing is piped in", "Name a file, or pipe the prompts in.")
    }
    const csv = { promptColumn, keyColumn, template }
    if (format !== "csv" && Object.values(csv).some((value) => value !== undefined)) {
      const hint = "--prompt-column, --key-column and --template are for CSV; --format csv says that it is one."
      return yield* invalidOption("--prompt-column", "only CSV has columns", hint)
    }
    return Source.make(piped ? undefined : file, { format, ...csv })
  })

const outputOf = (
  { force, output, resume }: Given,
  { path }: Source.Source,
  terminal: Terminal.Terminal["Type"]
): Effect.Effect<Output.Output, ClaudeError, Scope.Scope> => {
  if (resume && force) {
    return invalidOption("--force", "it contradicts --resume", "--resume goes on with an output, --force begins anew.")
  }
  if (output !== undefined) return Output.open(output, resume ? "resume" : force ? "overwrite" : "refuse", path)
  if (resume) {
    return invalidOption("--resume", "there is no --output to go on with", "Name the output of the batch.")
  }
  return Effect.succeed(Output.of((line) => terminal.say(line)))
}

/**
 * What has begun is kept for as long as its output: a prompt that is cut by the host's death is gone on with, and paid
 * for once. Without a store the output alone knows what is completed.
 */
const recordsOf = ({ name }: Output.Output, resume: boolean, terminal: Terminal.Terminal["Type"]) => {
  if (name === undefined) return Effect.succeed(undefined)
  const id = `output:${name}`
  return Effect.gen(function*() {
    const context = yield* Effect.flatMap(Effect.flatMap(Store.path, openFile), batchesIn)
    if (!resume) yield* Context.get(context, BatchRepository).delete(id)
    return { id, context }
  }).pipe(
    Effect.catchAll((error) =>
      Effect.as(terminal.warn(`What is cut cannot be gone on with, only asked again: ${error.message}`), undefined)
    )
  )
}

/** What earlier runs have spent is spent. */
const budgetOf = (
  { maxBudgetUsd }: Given,
  spentUsd: number
): Effect.Effect<number | undefined, InvalidOptionsError> => {
  if (maxBudgetUsd === undefined) return Effect.succeed(undefined)
  if (maxBudgetUsd > spentUsd) return Effect.succeed(maxBudgetUsd - spentUsd)
  const detail = `of ${maxBudgetUsd} USD ${Number(spentUsd.toFixed(4))} are spent already`
  return invalidOption("--max-budget-usd", detail, "Allow more, or begin anew with another output.")
}
