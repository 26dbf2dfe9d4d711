import { interleave, runChild } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare } from "../report.js"
import type { Benchmark } from "./benchmark.js"

const count = 1000

export const fake: Benchmark = {
  name: "fake",
  run: async ({ rounds }) => {
    const all = await interleave(
      ["script", "effect", "facade"],
      rounds(9, 3),
      (variant) => runChild(program("fake"), { variant, count }, childEnvironment())
    )
    const budget = { must: 1000, aim: 500, better: "lower", unit: " ms" } as const
    const common = { base: all.script, against: "the bare script", cpu: "cpuMs", wall: "wallMs" } as const
    return [{
      title: "1,000 queries on a fake CLI in memory, one after the other",
      rows: [
        compare({ ...common, what: "bare script: frames written and read back", samples: all.script }),
        compare({
          ...common,
          what: "`Claude.text` over `FakeClaude.layer`",
          samples: all.effect,
          budget,
          judged: "time"
        }),
        compare({ ...common, what: "facade, `fakeClient`, `querySimple`", samples: all.facade })
      ]
    }]
  }
}
