import { linesOf } from "../corpus.js"
import { interleave, leftOut, runChild } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare, leftOutRow, type Section } from "../report.js"
import type { Benchmark, Context } from "./benchmark.js"

const names = ["floor", "facade", "effect", "sdk"] as const

const measure = async (context: Context, title: string, file: string, rounds: number): Promise<Section> => {
  const { fastFake, sdk } = context
  if (fastFake._tag === "missing") return { title, rows: [leftOutRow("all", fastFake.reason)] }
  const lines = await linesOf(file)
  const wanted = names.filter((name) => name !== "sdk" || sdk._tag === "found")
  const measured = await interleave(
    wanted,
    rounds,
    (variant) =>
      runChild(program("pipe"), { variant, cli: fastFake.path, lines }, childEnvironment({ FAKE_FILE: file }))
  )
  const all = sdk._tag === "found" ? measured : { ...measured, sdk: leftOut(sdk.reason) }
  const common = { cpu: "cpuUs", wall: "wallUs", unit: " µs" }
  const sdkAsBase = { base: all.sdk, against: "official SDK", budget: { must: 1, aim: 0.7, better: "lower" } } as const
  const floorAsBase = { base: all.floor, against: "raw + floor" } as const
  return {
    title,
    rows: [
      compare({ ...common, what: "raw `spawn` + floor", samples: all.floor, ...floorAsBase }),
      compare({ ...common, what: "official SDK (validates nothing)", samples: all.sdk, ...floorAsBase }),
      compare({ ...common, what: "facade, `for await`", samples: all.facade, ...sdkAsBase }),
      compare({ ...common, what: "facade, `for await`", samples: all.facade, ...floorAsBase }),
      compare({ ...common, what: "`Claude.query`, `Stream.runForEach`", samples: all.effect, ...sdkAsBase }),
      compare({
        ...common,
        what: "`Claude.query`, `Stream.runForEach`",
        samples: all.effect,
        ...floorAsBase,
        budget: { must: 2, aim: 1.54, better: "lower" }
      })
    ]
  }
}

export const pipe: Benchmark = {
  name: "pipe",
  run: async (context) => [
    await measure(context, "Per line of the CLI, over a pipe: 256 MiB, mixed", context.large, context.rounds(7, 2)),
    await measure(context, "Per line of the CLI, over a pipe: 16 MiB of events", context.events, context.rounds(9, 3))
  ]
}
