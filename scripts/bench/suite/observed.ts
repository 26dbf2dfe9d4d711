import type { Variant } from "../child/observed.js"
import { interleave, runChild } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare } from "../report.js"
import type { Benchmark } from "./benchmark.js"

const titles: Record<Variant, string> = {
  none: "neither events nor a ledger",
  usual: "events that nobody hears, a ledger in memory: what `NodeClaude.layer` has",
  oneKind: "who listens to `TokensUsed`",
  everything: "who listens to everything",
  metrics: "`Metrics.layer`",
  otlp: "`Telemetry.layerOtlp`, to a collector on the loopback interface",
  budget: "`Budget`, of each query and of the day",
  sqlite: "a ledger in a SQLite file"
}

const variants: ReadonlyArray<Variant> = [
  "none",
  "usual",
  "oneKind",
  "everything",
  "metrics",
  "otlp",
  "budget",
  "sqlite"
]

export const observed: Benchmark = {
  name: "observed",
  run: async ({ rounds }) => {
    const all = await interleave(
      variants,
      rounds(7, 2),
      (variant) => runChild(program("observed"), { variant, warmup: 300, count: 300 }, childEnvironment())
    )
    return [{
      title: "A query of 52 messages on a fake CLI in memory, and who looks on",
      rows: variants.map((name) =>
        compare({
          what: titles[name],
          samples: all[name],
          base: name === "usual" ? all.none : all.usual,
          against: name === "usual" ? "without either" : "the usual",
          cpu: "cpuMs",
          wall: "wallMs"
        })
      )
    }]
  }
}
