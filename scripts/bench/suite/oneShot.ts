import { startMessagesApi, text } from "../../../test/support/MessagesApi.js"
import { sandboxEnvironment, sandboxHome } from "../../../test/support/RealCli.js"
import { interleave, leftOut, type Measured, runChild, type Samples } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare, type Row } from "../report.js"
import type { Benchmark, Context } from "./benchmark.js"

const names = ["bare", "raw", "rawEffect", "facade", "effect", "sdk"] as const
type Name = (typeof names)[number]

interface Runs {
  readonly cli: string
  readonly warmup: number
  readonly count: number
  readonly rounds: number
  readonly env: Readonly<Record<string, string | undefined>>
}

const measure = async (
  { fake, fastFake, sdk }: Context,
  { cli, count, env, rounds, warmup }: Runs
): Promise<Measured<Name>> => {
  const wanted = names.filter((name) => name !== "sdk" || sdk._tag === "found")
  const measured = await interleave(wanted, rounds, (variant) =>
    runChild(program("oneShot"), {
      variant,
      cli,
      warmCli: fake,
      warmup: fastFake._tag === "found" ? warmup : 1,
      count
    }, env))
  return sdk._tag === "found" ? measured : { ...measured, sdk: leftOut(sdk.reason) }
}

const titles: Record<Name, string> = {
  bare: "raw `spawn`, nothing loaded",
  raw: "raw `spawn`, `ccflow` loaded",
  rawEffect: "raw `spawn`, the Effect modules loaded",
  facade: "facade, `for await`",
  effect: "`Claude.query`, `Stream.runForEach`",
  sdk: "official SDK"
}

const cpuRows = (all: Measured<Name>, judged: boolean): ReadonlyArray<Row> => {
  const row = (name: Name, base: Name, against: string, budget?: readonly [must: number, aim: number]) =>
    compare({
      what: `host CPU per query: ${titles[name]}`,
      samples: all[name],
      base: all[base],
      against,
      cpu: "cpuMs",
      ...(budget === undefined || !judged ? {} : { budget: { must: budget[0], aim: budget[1], better: "lower" } })
    })
  return [
    row("bare", "bare", ""),
    row("raw", "bare", "raw, nothing loaded"),
    row("rawEffect", "bare", "raw, nothing loaded"),
    row("facade", "raw", "raw, `ccflow` loaded", [1.5, 1.15]),
    row("effect", "rawEffect", "raw, Effect modules loaded", [1.5, 1.15]),
    row("sdk", "raw", "raw, `ccflow` loaded"),
    row("facade", "sdk", "official SDK", [1, 0.6])
  ]
}

const wallRows = (
  all: Measured<Name>,
  figure: string,
  label: string,
  budget?: readonly [must: number, aim: number]
): ReadonlyArray<Row> => {
  const row = (name: Name, held?: readonly [must: number, aim: number], base: Name = "raw") =>
    compare({
      what: `${label}: ${titles[name]}`,
      samples: all[name],
      base: all[base],
      against: base === "raw" ? "raw, `ccflow` loaded" : "raw, Effect modules loaded",
      wall: figure,
      as: "added",
      judged: "wall",
      ...(held === undefined ? {} : { budget: { must: held[0], aim: held[1], better: "lower", unit: " ms" } })
    })
  return [row("raw"), row("facade", budget), row("effect", budget, "rawEffect"), row("sdk")]
}

const skipped = (reason: string): Measured<Name> => {
  const samples: Samples = leftOut(reason)
  return { bare: samples, raw: samples, rawEffect: samples, facade: samples, effect: samples, sdk: samples }
}

const real = async (context: Context): Promise<Measured<Name>> => {
  if (context.realCli._tag === "missing") return skipped(context.realCli.reason)
  await using api = await startMessagesApi(() => text("2+2 is 4."))
  await using home = await sandboxHome()
  return await measure(context, {
    cli: context.realCli.path,
    warmup: 10,
    count: 3,
    rounds: context.rounds(6, 2),
    env: { ...sandboxEnvironment({ url: api.url, home: home.path }) }
  })
}

export const oneShot: Benchmark = {
  name: "oneShot",
  run: async (context) => {
    const native = context.fastFake._tag === "found"
    const fast = await measure(context, {
      cli: context.fake,
      warmup: 50,
      count: native ? 250 : 10,
      rounds: context.rounds(7, 3),
      env: childEnvironment()
    })
    const warm = await measure(context, {
      cli: context.fake,
      warmup: 800,
      count: native ? 300 : 10,
      rounds: context.rounds(5, 1),
      env: childEnvironment()
    })
    const slow = await real(context)
    const rows = (all: Measured<Name>) => [
      ...cpuRows(all, native),
      ...wallRows(all, "firstMs", "time to the first message", native ? [1.5, 0.5] : undefined),
      ...wallRows(all, "settledMs", "time to settled", native ? [2, 0.7] : undefined)
    ]
    const fakeName = context.fastFake._tag === "found"
      ? "a native fake CLI"
      : `fake-claude.mjs (${context.fastFake.reason})`
    return [
      {
        title: `One prompt on ${fakeName}: the first 250 of a process`,
        rows: rows(fast)
      },
      {
        title: "The same in a process that has asked 800 times before",
        rows: rows(warm)
      },
      {
        title: "One prompt on the real CLI, against a stand-in of the API",
        rows: [
          ...cpuRows(slow, false),
          ...wallRows(slow, "firstMs", "time to the first message"),
          ...wallRows(slow, "settledMs", "time to settled")
        ]
      }
    ]
  }
}
