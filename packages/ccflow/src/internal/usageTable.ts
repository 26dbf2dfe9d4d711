import type { UsageGroup, UsageKey, UsageSum } from "@ccflow/core/UsageLedger"
import { count, dollars } from "./slash.js"
import * as Table from "./table.js"

/** Groups and their total, and below them what of it is no fact. @internal */
export const usageTable = (key: UsageKey, groups: ReadonlyArray<UsageGroup>, total: UsageSum): string => {
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

// ---------------------------------------------------------------------------

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
