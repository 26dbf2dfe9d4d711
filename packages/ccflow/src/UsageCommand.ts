/** `ccflow usage`: what was used and what it cost, as far as that is kept: a table, or JSON for programs. */
import { type UsageGroup, type UsageKey, UsageLedger, type UsageSum } from "@ccflow/core/UsageLedger"
import * as Options from "@effect/cli/Options"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { count, dollars, plural } from "./internal/amounts.js"
import * as Flags from "./internal/flags.js"
import * as Kept from "./internal/kept.js"
import * as KeptFile from "./internal/keptFile.js"
import { command } from "./internal/running.js"
import * as Table from "./internal/table.js"
import { periodOf } from "./internal/time.js"
import * as UsageStore from "./internal/usageStore.js"
import { Terminal } from "./Terminal.js"

export const run = command(
  "ccflow usage",
  [
    "What was used and what it cost, as the CLI has said, of all that is kept.",
    "What is an estimate is in the sums, and told apart; what is unknown is in none of them."
  ],
  {
    by: Flags.withDefault(
      Options.choice("by", ["day", "model", "session", "tag", "batch"]),
      "day",
      "What the lines are. A day is one of this machine's time zone."
    ),
    since: Flags.text("since", "From then on: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
    until: Flags.text("until", "Up to then: a time as above. A day counts whole."),
    json: Flags.flag("json", "Print one object: { storage, by, timeZone, since, until, total, groups }."),
    storage: KeptFile.option
  },
  ({ by, json, since, storage, until }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      const filter = yield* periodOf({ since, until })
      const path = yield* KeptFile.pathOf(storage)
      const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
      const { groups, total } = yield* UsageLedger.pipe(
        Effect.flatMap((ledger) =>
          Effect.all({ total: ledger.total(filter), groups: ledger.by(by, { ...filter, timeZone }) })
        ),
        Effect.provide(Layer.provide(UsageStore.ledger, Kept.layer(Config.succeed(path))))
      )
      if (!json) return yield* terminal.say(tableOf(by, groups, total))
      const period = { since: filter.since ?? null, until: filter.until ?? null }
      const found = { storage: path, by, timeZone, ...period, total, groups }
      yield* terminal.say(`${JSON.stringify(found, undefined, 2)}\n`)
    })
)

// ---------------------------------------------------------------------------

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
      Table.grows(key),
      ...["input", "output", "cache read", "cache write", "cost"].map(Table.right),
      ...partly ? [Table.right("estimated")] : [],
      ...unknown ? [Table.right("unknown")] : []
    ],
    [...groups.map((group) => row(group.key === "" ? nameless[key] : group.key, group)), row("total", total)]
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

const entries = (number: number): string => plural(number, "entry", "entries")
