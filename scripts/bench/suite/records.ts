import { column, interleave, runChild } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { leftOutRow, type Row, show, showBudget, verdict } from "../report.js"
import { ratio, spread } from "../statistics.js"
import type { Benchmark } from "./benchmark.js"

const names = ["raw", "repository"] as const

export const records: Benchmark = {
  name: "records",
  run: async ({ mixed, quick, rounds }) => {
    const all = await interleave(names, rounds(7, 2), (variant) =>
      runChild(
        program("records"),
        { variant, messages: quick ? 2000 : 10_000, file: mixed },
        childEnvironment()
      ))
    const row = (
      what: string,
      figure: string,
      unit: string,
      marks?: readonly [must: number, aim: number]
    ): ReadonlyArray<Row> => {
      const failed = names.map((name) => all[name]).find((samples) => samples._tag === "leftOut")
      if (failed?._tag === "leftOut") return [leftOutRow(what, failed.reason)]
      const own = column(all.repository, figure)
      const base = column(all.raw, figure)
      const speed = ratio(own, base)
      const budget = marks === undefined
        ? undefined
        : { must: marks[0], aim: marks[1], better: "higher" as const }
      return [
        { what: `${what}: better-sqlite3 alone`, wall: show(spread(base), unit) },
        {
          what: `${what}: \`SessionRepository\``,
          wall: show(spread(own), unit),
          wallRatio: show(speed),
          gauge: { value: speed, rounds: base.length, better: "higher" },
          against: "better-sqlite3",
          ...(budget === undefined ? {} : { budget: showBudget(budget), verdict: verdict(budget, speed) })
        }
      ]
    }
    return [{
      title: "Session records in a SQLite file (ratio: speed)",
      rows: [
        ...row("messages appended, 100 at a time", "appends", "/s", [0.6, 0.8]),
        ...row("turns begun and ended", "turns", "/s"),
        ...row("pages of 100 messages read and decoded", "pages", "/s")
      ]
    }]
  }
}
