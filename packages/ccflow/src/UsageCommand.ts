/**
 * `ccflow usage`: what was used and what it cost, as far as it is kept, for people as a table, for programs as JSON.
 */
import { type InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { UsageGroup, UsageKey, UsageLedgerService, UsageSum } from "@ccflow/core/UsageLedger"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { stat } from "node:fs/promises"
import { resolve } from "node:path"
import { codeOf } from "./internal/errorCode.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { running } from "./internal/running.js"
import { count, dollars } from "./internal/slash.js"
import * as Store from "./internal/store.js"
import * as Table from "./internal/table.js"
import { periodOf } from "./internal/time.js"
import { Terminal } from "./Terminal.js"

const options = {
  by: Options.choice("by", ["day", "model", "session", "tag", "batch"]).pipe(
    Options.withDescription("What the lines are. A day is one of this machine's time zone."),
    Options.withDefault("day")
  ),
  since: Flags.text("since", "From then on: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
  until: Flags.text("until", "Up to then: a time as above. A day counts whole."),
  json: Flags.flag("json", "Print one object: { storage, by, timeZone, since, until, total, groups }."),
  storage: Flags.text(
    "storage",
    "The file. Left out: that of CCFLOW_SESSION_STORAGE_PATH, or in this user's data folder."
  )
}

const usage = ({ by, json, since, storage, until }: Command.Command.ParseConfig<typeof options>) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal
    const filter = yield* periodOf({ since, until })
    const path = yield* pathOf(storage)
    const ledger = yield* open(path)
    const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
    const total = yield* ledger.total(filter)
    const groups = yield* ledger.by(by, { ...filter, timeZone })
    if (!json) return yield* terminal.say(tableOf(by, groups, total))
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
export const run = running("ccflow usage", command)

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** What is only looked at is not made. */
const pathOf = (given: string | undefined): Effect.Effect<string, InvalidOptionsError | SessionStoreError> =>
  Effect.gen(function*() {
    if (given?.trim() === "") return yield* noName
    const path = resolve((given ?? (yield* Store.path)).trim())
    const there = yield* Effect.promise(() =>
      stat(path).then(() => true, (error: unknown) => codeOf(error) !== "ENOENT")
    )
    return there ? path : yield* noStore(path)
  })

/** SQLite is loaded here. */
const open = (path: string): Effect.Effect<UsageLedgerService, SessionStoreError, Scope.Scope> =>
  Effect.gen(function*() {
    const { openFile } = yield* Effect.tryPromise({ try: () => import("./internal/openFile.js"), catch: Store.missing })
    const { make } = yield* Effect.tryPromise({ try: () => import("@ccflow/sql/SqlUsageLedger"), catch: Store.missing })
    return yield* Effect.flatMap(openFile(path), (file) => Effect.provide(make, file))
  })

const noStore = (path: string) =>
  new SessionStoreError({
    operation: "open",
    reason: "Unavailable",
    detail: `nothing is kept in ${path}: there is no such file`,
    hint: "Give the file that a client has as its storagePath: --storage <path>, or set CCFLOW_SESSION_STORAGE_PATH."
  })

const noName = invalidOption(
  "--storage",
  "it names no file",
  "Give the path of a file; left out it is that of CCFLOW_SESSION_STORAGE_PATH."
)

/** Groups and their total, and below them what of it is no fact. */
const tableOf = (key: UsageKey, groups: ReadonlyArray<UsageGroup>, total: UsageSum): string => {
  const partly = total.estimatedUsd > 0
  const unknown = total.unpriced > 0
  const row = (name: string, sum: UsageSum): ReadonlyArray<string> => [
    name,
    tokens(sum, sum.inputTokens),
    tokens(sum, sum.outputTokens),
    tokens(sum, sum.cacheReadInputTokens),
    tokens(sum, sum.cacheCreationInputTokens),
    sum.entries > 0 && sum.unpriced === sum.entries ? "unknown" : dollars(sum.costUsd),
    ...partly ? [sum.estimatedUsd > 0 ? dollars(sum.estimatedUsd) : ""] : [],
    ...unknown ? [sum.unpriced > 0 ? `+ ${count(sum.unpriced)}` : ""] : []
  ]
  const table = Table.render(
    [
      { title: key, grows: true },
      { title: "input", side: "right" },
      { title: "output", side: "right" },
      { title: "cache read", side: "right" },
      { title: "cache write", side: "right" },
      { title: "cost", side: "right" },
      ...(partly ? [{ title: "estimated", side: "right" } as const] : []),
      ...(unknown ? [{ title: "unknown", side: "right" } as const] : [])
    ],
    [...groups.map((group) => row(group.key === "" ? nameless[key] : group.key, group)), row("total", total)],
    Table.room()
  )
  const notes = notesOn(key, groups, total)
  return notes.length === 0 ? table : `${table}\n${notes.map((note) => `${note}\n`).join("")}`
}

const nameless: Readonly<Record<UsageKey, string>> = {
  day: "",
  model: "(model unknown)",
  session: "(no session)",
  tag: "(no tag)",
  batch: "(no batch)"
}

const tokens = ({ entries, uncounted }: UsageSum, sum: number): string =>
  entries > 0 && uncounted === entries ? "unknown" : count(sum)

const notesOn = (key: UsageKey, groups: ReadonlyArray<UsageGroup>, total: UsageSum): ReadonlyArray<string> => [
  ...(total.estimatedUsd > 0 ? [`${dollars(total.estimatedUsd)} of it is an estimate, of runs that were cut.`] : []),
  ...(total.unpriced > 0 ? [`The cost of ${entries(total.unpriced)} is unknown, and in no sum.`] : []),
  ...(total.uncounted > 0 ? [`The tokens of ${entries(total.uncounted)} are unknown, and in no sum.`] : []),
  ...(total.listUsd > 0 ? [`By the list of prices, what has one comes to ${dollars(total.listUsd)}.`] : []),
  ...(key === "tag" && groups.reduce((all, group) => all + group.entries, 0) > total.entries
    ? ["What has several tags is in the line of each."]
    : [])
]

const entries = (number: number): string => `${count(number)} ${number === 1 ? "entry" : "entries"}`
