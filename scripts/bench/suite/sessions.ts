import { startMessagesApi, text } from "../../../test/support/MessagesApi.js"
import { sandboxEnvironment, sandboxHome } from "../../../test/support/RealCli.js"
import { column, interleave, leftOut, type Measured, runChild, type Samples } from "../harness.js"
import { childEnvironment, program } from "../provision.js"
import { compare, leftOutRow, type Row, type Section, show, showBudget, verdict } from "../report.js"
import { spread } from "../statistics.js"
import type { Benchmark, Context } from "./benchmark.js"

/** The children run on the real CLI, each in a home of its own, against a stand-in of the API. */
const onRealCli = async <Name extends string>(
  context: Context,
  names: ReadonlyArray<Name>,
  rounds: number,
  child: "turns" | "firstTurn",
  parameters: Readonly<Record<string, unknown>> = {}
): Promise<Measured<Name>> => {
  const { realCli, sdk } = context
  const all = (reason: string) =>
    Object.fromEntries(names.map((name): [Name, Samples] => [name, leftOut(reason)])) as Measured<Name>
  if (realCli._tag === "missing") return all(realCli.reason)
  await using api = await startMessagesApi(() => text("2+2 is 4."))
  const wanted = names.filter((name) => sdk._tag === "found" || !name.startsWith("sdk"))
  const measured = await interleave(wanted, rounds, async (variant) => {
    await using home = await sandboxHome()
    return await runChild(program(child), { variant, cli: realCli.path, ...parameters }, {
      ...sandboxEnvironment({ url: api.url, home: home.path })
    })
  })
  return sdk._tag === "found" ? measured : { ...all(sdk.reason), ...measured }
}

const turns = async (context: Context): Promise<Section> => {
  const names = ["raw", "facade", "effect", "sdk", "rawResume", "facadeResume"] as const
  const all = await onRealCli(context, names, context.rounds(6, 1), "turns", { turns: context.quick ? 8 : 22 })
  const row = (
    name: (typeof names)[number],
    what: string,
    base: (typeof names)[number],
    against: string,
    budget?: readonly [must: number, aim: number]
  ): Row =>
    compare({
      what,
      samples: all[name],
      base: all[base],
      against,
      cpu: "cpuMs",
      wall: "turnMs",
      judged: "wall",
      ...(budget === undefined ? {} : { budget: { must: budget[0], aim: budget[1], better: "lower" } })
    })
  const added = (name: "facade" | "effect", what: string): Row =>
    compare({
      what,
      samples: all[name],
      base: all.raw,
      against: "raw warm turn",
      wall: "turnMs",
      as: "added",
      judged: "wall",
      budget: { must: 2, aim: 1, better: "lower", unit: " ms" }
    })
  return {
    title: "A turn of a conversation on the real CLI, from the third on: host CPU and time to the result",
    rows: [
      row("rawResume", "a new process with `--resume`, raw", "rawResume", ""),
      row("facadeResume", "a new process with `resume`, facade", "rawResume", "raw, new process"),
      row("raw", "warm process, raw", "rawResume", "raw, new process"),
      row("sdk", "warm process, official SDK's streaming input", "rawResume", "raw, new process"),
      row("facade", "warm process, `session.sendMessage`", "rawResume", "raw, new process", [0.15, 0.08]),
      row("effect", "warm process, `session.send`, `Stream.runDrain`", "rawResume", "raw, new process", [0.15, 0.08]),
      added("facade", "added to a raw warm turn: `session.sendMessage`"),
      added("effect", "added to a raw warm turn: `session.send`")
    ]
  }
}

const firstTurns = async (context: Context): Promise<Section> => {
  const names = [
    "rawCold",
    "cold",
    "sdkCold",
    "rawWarm",
    "prewarmed",
    "pool",
    "poolQuery",
    "sdkStartup"
  ] as const
  const all = await onRealCli(context, names, context.rounds(12, 2), "firstTurn")
  const row = (name: (typeof names)[number], what: string, budget?: readonly [must: number, aim: number]): Row =>
    compare({
      what,
      samples: all[name],
      base: all.cold,
      against: "a cold session",
      wall: "resultMs",
      judged: "wall",
      ...(budget === undefined ? {} : { budget: { must: budget[0], aim: budget[1], better: "lower" } })
    })
  return {
    title: "The result of a first prompt on the real CLI, when everything that can be done before has been done",
    rows: [
      row("cold", "cold session"),
      row("rawCold", "raw `spawn`"),
      row("sdkCold", "official SDK `query()`"),
      row("rawWarm", "raw: started and initialised before"),
      row("prewarmed", "`session.prewarm()`", [0.45, 0.3]),
      row("pool", "`warm: 1`, a session", [0.45, 0.3]),
      row("poolQuery", "`warm: 1`, a query", [0.45, 0.3]),
      row("sdkStartup", "official SDK `startup()`")
    ]
  }
}

const idle = async (context: Context): Promise<Section> => {
  const title = "Memory of the host for each idle session"
  const { fastFake, sdk } = context
  if (fastFake._tag === "missing") return { title, rows: [leftOutRow("all", fastFake.reason)] }
  const names = ["raw", "effect", "facade", "sdk"] as const
  const wanted = names.filter((name) => name !== "sdk" || sdk._tag === "found")
  const measured = await interleave(wanted, context.rounds(5, 1), (variant) =>
    runChild(
      program("idle"),
      { variant, cli: fastFake.path, sessions: context.quick ? 50 : 200 },
      childEnvironment(),
      ["--expose-gc"]
    ))
  const all: Measured<(typeof names)[number]> = sdk._tag === "found"
    ? measured
    : { ...measured, sdk: leftOut(sdk.reason) }
  const row = (name: (typeof names)[number], what: string, judged = false): Row => {
    const samples = all[name]
    if (samples._tag === "leftOut") return leftOutRow(what, samples.reason)
    const heap = spread(column(samples, "heapKb"))
    const budget = { must: 30, aim: 15, better: "lower", unit: " KB" } as const
    return {
      what,
      figure: `heap ${show(heap, " KB")}, in all ${show(spread(column(samples, "rssKb")), " KB")}`,
      gauge: { value: heap, rounds: samples.rounds.length, better: "lower" },
      ...(judged ? { budget: showBudget(budget), verdict: verdict(budget, heap) } : {})
    }
  }
  return {
    title,
    rows: [
      row("raw", "raw child process"),
      row("effect", "`Session`", true),
      row("facade", "`client.session()`", true),
      row("sdk", "official SDK")
    ]
  }
}

export const sessions: Benchmark = {
  name: "sessions",
  run: async (context) => [await turns(context), await firstTurns(context), await idle(context)]
}
