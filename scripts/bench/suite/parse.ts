import { stat } from "node:fs/promises"
import { linesOf } from "../corpus.js"
import { interleave, leftOut, runChild } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare, type Section } from "../report.js"
import type { Benchmark, Context } from "./benchmark.js"

const names = ["floor", "parser", "pull", "stream", "readline", "sdk"] as const

const megabyte = 1e6

interface Shape {
  readonly title: string
  readonly file: string
  readonly chunk: number | "line"
  readonly rounds: number
  readonly rate: (cpuMs: number) => number
  readonly unit: string
}

const measure = async ({ sdk }: Context, { chunk, file, rate, rounds, title, unit }: Shape): Promise<Section> => {
  const wanted = names.filter((name) => name !== "sdk" || sdk._tag === "found")
  const measured = await interleave(
    wanted,
    rounds,
    (variant) => runChild(program("parse"), { variant, file, chunk }, childEnvironment())
  )
  const all = sdk._tag === "found" ? measured : { ...measured, sdk: leftOut(sdk.reason) }
  const common = {
    base: all.floor,
    against: "the floor",
    cpu: "cpuMs",
    wall: "wallMs",
    unit,
    shown: rate,
    as: "speed" as const
  }
  const line = chunk === "line"
  return {
    title,
    rows: [
      compare({ ...common, what: "floor: split + `JSON.parse`", samples: all.floor }),
      compare({
        ...common,
        what: "`MessageParser`: messages, validated",
        samples: all.parser,
        ...(line ? {} : { budget: { must: 0.65, aim: 0.8, better: "higher" } })
      }),
      compare({
        ...common,
        what: "`Claude.toPull` over a process in memory, batch by batch",
        samples: all.pull,
        ...(line ? { budget: { must: 0.4, aim: 0.62, better: "higher" } } : {})
      }),
      compare({
        ...common,
        what: "`Claude.query` over the same, `Stream.runForEach`",
        samples: all.stream,
        ...(line ? {} : { budget: { must: 0.5, aim: 0.65, better: "higher" } })
      }),
      compare({ ...common, what: "`readline` + `JSON.parse`", samples: all.readline }),
      compare({ ...common, what: "official SDK `query()` over a process in memory", samples: all.sdk })
    ]
  }
}

export const parse: Benchmark = {
  name: "parse",
  run: async (context) => {
    const { size } = await stat(context.mixed)
    const lines = await linesOf(context.events)
    return [
      await measure(context, {
        title: "Parsing: 64 MiB, mixed, in reads of 64 KiB",
        file: context.mixed,
        chunk: 65_536,
        rounds: context.rounds(7, 3),
        rate: (ms) => size / megabyte / (ms / 1000),
        unit: " MB/s"
      }),
      await measure(context, {
        title: "Parsing: 16 MiB of events, one line in each read, as from a live CLI",
        file: context.events,
        chunk: "line",
        rounds: context.rounds(5, 2),
        rate: (ms) => ms * 1000 / lines,
        unit: " µs/line"
      })
    ]
  }
}
