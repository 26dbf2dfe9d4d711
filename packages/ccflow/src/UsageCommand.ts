/**
 * `ccflow usage`: what was used and what it cost, as far as it is kept, for people as a table, for programs as JSON.
 */
import { InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { UsageFilter, UsageKey, UsageLedgerService } from "@ccflow/core/UsageLedger"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { stat } from "node:fs/promises"
import { resolve } from "node:path"
import { optionsFirst } from "./internal/optionsFirst.js"
import { knownOf } from "./internal/running.js"
import * as Store from "./internal/store.js"
import { sinceOf, untilOf } from "./internal/time.js"
import { usageTable } from "./internal/usageTable.js"
import { version } from "./internal/version.js"
import { Terminal } from "./Terminal.js"

const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)

const options = {
  by: Options.text("by").pipe(
    Options.withDescription("What the lines are: day (in this machine's time zone), model, session, tag or batch."),
    Options.withDefault("day")
  ),
  since: text("since", "From then on: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
  until: text("until", "Up to then: a time as above. A day counts whole."),
  json: Options.boolean("json").pipe(
    Options.withDescription("Print one object: { storage, by, timeZone, since, until, total, groups }.")
  ),
  storage: text("storage", "The file. Left out: that of CCFLOW_SESSION_STORAGE_PATH, or in this user's data folder.")
}

interface Given {
  readonly by: string
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
  readonly json: boolean
  readonly storage: Option.Option<string>
}

const usage = ({ json, since, storage, until, ...given }: Given) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal
    const by = yield* keyOf(given.by)
    const filter = yield* periodOf(since, until)
    const path = yield* pathOf(storage)
    const ledger = yield* open(path)
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
    const total = yield* ledger.total(filter)
    const groups = yield* ledger.by(by, { ...filter, timeZone })
    if (!json) return yield* terminal.say(usageTable(by, groups, total))
    const found = {
      storage: path,
      by,
      timeZone,
      since: filter.since ?? null,
      until: filter.until ?? null,
      total,
      groups
    }
    yield* terminal.say(`${JSON.stringify(found, undefined, 2)}\n`)
  }))

const command = Command.make("usage", options, usage).pipe(
  Command.withDescription(HelpDoc.blocks([
    HelpDoc.p("What was used and what it cost, as the CLI has said, of all that is kept."),
    HelpDoc.p("What is an estimate is in the sums, and told apart; what is unknown is in none of them.")
  ]))
)

/** Runs it on what stands behind its name. */
export const run = (program: readonly [string, string], args: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const given = yield* optionsFirst(args, knownOf(Command.getUsage(command)), "ccflow usage --help")
    const word = given.indexOf("--")
    if (word >= 0) return yield* noWords(given[word + 1] ?? "")
    return yield* Command.run(command, { name: "ccflow usage", version })([...program, ...given])
  })

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const keys: ReadonlyArray<UsageKey> = ["day", "model", "session", "tag", "batch"]

const keyOf = (given: string): Effect.Effect<UsageKey, InvalidOptionsError> =>
  Effect.fromNullable(keys.find((key) => key === given)).pipe(Effect.mapError(() =>
    new InvalidOptionsError({
      field: "--by",
      detail: `"${given}" is nothing to sum up by`,
      hint: `Choose one of ${keys.join(", ")}.`
    })
  ))

const periodOf = (
  since: Option.Option<string>,
  until: Option.Option<string>
): Effect.Effect<UsageFilter, InvalidOptionsError> =>
  Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const from = yield* Effect.transposeMapOption(since, (text) => sinceOf(text, now))
    const to = yield* Effect.transposeMapOption(until, (text) => untilOf(text, now))
    if (Option.isSome(from) && Option.isSome(to) && from.value >= to.value) return yield* backwards
    return { since: Option.getOrUndefined(from), until: Option.getOrUndefined(to) }
  })

/** What is only looked at is not made. */
const pathOf = (given: Option.Option<string>): Effect.Effect<string, InvalidOptionsError | SessionStoreError> =>
  Effect.gen(function*() {
    if (Option.isSome(given) && given.value.trim() === "") return yield* noName
    const path = resolve((Option.isSome(given) ? given.value : yield* Store.path).trim())
    const there = yield* Effect.promise(() => stat(path).then(() => true, (error: unknown) => !isAbsent(error)))
    return there ? path : yield* noStore(path)
  })

const isAbsent = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT"

/** SQLite is loaded here. */
const open = (path: string): Effect.Effect<UsageLedgerService, SessionStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const { openFile } = yield* Effect.tryPromise({ try: () => import("./internal/openFile.js"), catch: Store.missing })
    const { openLedger } = yield* Effect.tryPromise({
      try: () => import("./internal/openUsage.js"),
      catch: Store.missing
    })
    return yield* Effect.flatMap(openFile(path), openLedger)
  })

const noStore = (path: string) =>
  new SessionStoreError({
    operation: "open",
    reason: "Unavailable",
    detail: `nothing is kept in ${path}: there is no such file`,
    hint: "Give the file that a client has as its storagePath: --storage <path>, or set CCFLOW_SESSION_STORAGE_PATH."
  })

const noName = new InvalidOptionsError({
  field: "--storage",
  detail: "it names no file",
  hint: "Give the path of a file; left out it is that of CCFLOW_SESSION_STORAGE_PATH."
})

const backwards = new InvalidOptionsError({
  field: "--until",
  detail: "it is not after --since",
  hint: "Give a later time, or leave it out for all until now."
})

const noWords = (word: string) =>
  new InvalidOptionsError({
    field: word,
    detail: "it belongs to no option",
    hint: "See ccflow usage --help."
  })
