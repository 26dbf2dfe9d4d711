import { column, interleave, runChild, type Samples } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { leftOutRow, type Row, show, showBudget, verdict } from "../report.js"
import { spread } from "../statistics.js"
import type { Benchmark } from "./benchmark.js"

const title = "Peak memory over the baseline, reading 256 MiB"
const budget = { must: 128, aim: 64, better: "lower", unit: " MiB" } as const

const row = (what: string, samples: Samples, judged: boolean): Row => {
  if (samples._tag === "leftOut") return leftOutRow(what, samples.reason)
  const peak = spread(column(samples, "peakMib"))
  return {
    what,
    figure: show(peak, " MiB"),
    gauge: { value: peak, rounds: samples.rounds.length, better: "lower" },
    cpu: show(spread(column(samples, "cpuMs")), " ms"),
    wall: show(spread(column(samples, "wallMs")), " ms"),
    ...(judged ? { budget: showBudget(budget), verdict: verdict(budget, peak) } : {})
  }
}

const names = ["facade fast", "facade slow", "sdk fast", "sdk slow"] as const

export const memory: Benchmark = {
  name: "memory",
  run: async ({ fastFake, large, mixed, rounds, sdk }) => {
    if (fastFake._tag === "missing") return [{ title, rows: [leftOutRow("all", fastFake.reason)] }]
    const run = (name: (typeof names)[number]) => {
      const [variant, pace] = name.split(" ")
      return runChild(program("memory"), {
        variant,
        pace,
        cli: fastFake.path,
        file: name === "sdk slow" ? mixed : large
      }, childEnvironment())
    }
    const ours = await interleave(["facade fast", "facade slow"], rounds(3, 1), run)
    // Once, and slowly only 64 MiB: it then holds everything, and takes the first off an array again and again.
    const theirs = sdk._tag === "found" ? await interleave(["sdk fast", "sdk slow"], 1, run) : undefined
    return [{
      title,
      rows: [
        row("facade, taken at once", ours["facade fast"], true),
        row("facade, taken slowly", ours["facade slow"], true),
        ...(theirs === undefined
          ? []
          : [
            row("official SDK, taken at once", theirs["sdk fast"], false),
            row("official SDK, taken slowly, of 64 MiB", theirs["sdk slow"], false)
          ])
      ]
    }]
  }
}
