import { spawn } from "node:child_process"
import { join } from "node:path"
import { interleave, leftOut, type Measured, runChild, type Sample } from "../harness.js"
import { childEnvironment, packageFolder, program } from "../provision.js"
import { compare, type Row } from "../report.js"
import type { Benchmark, Context } from "./benchmark.js"

const modules = {
  ccflow: ["ccflow"],
  sdk: ["@anthropic-ai/claude-agent-sdk"],
  effect: ["@ccflow/core/Claude", "@ccflow/node/NodeClaude", "effect/Effect", "effect/Stream", "effect/Layer"]
} as const
type Module = keyof typeof modules

const commands = {
  empty: ["-e", "0"],
  ccflow: [join(packageFolder("ccflow"), "dist", "bundle", "main.js"), "--version"],
  sdk: ["--input-type=module", "-e", "await import('@anthropic-ai/claude-agent-sdk')"]
} as const
type CommandName = keyof typeof commands

/** A whole process of Node: how long it lived, and what it used. */
const runCommand = (args: ReadonlyArray<string>, cpuHook: string): Promise<Sample> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const child = spawn(process.execPath, ["--require", cpuHook, ...args], {
      cwd: join(cpuHook, ".."),
      env: childEnvironment(),
      stdio: ["ignore", "ignore", "ignore", "pipe"]
    })
    let cpu = ""
    child.stdio[3]?.on("data", (part: Buffer) => cpu += part.toString())
    child.on("error", reject)
    child.on("close", (code) => {
      if (code === 0) resolve({ wallMs: performance.now() - startedAt, cpuMs: Number(cpu) })
      else reject(new Error(`exit ${code}`))
    })
  })

const importRows = (all: Measured<Module>): ReadonlyArray<Row> => {
  const common = { base: all.sdk, against: "official SDK", cpu: "cpuMs", wall: "wallMs", judged: "wall" } as const
  return [
    compare({ ...common, what: "import of the official SDK", samples: all.sdk }),
    compare({
      ...common,
      what: "import of `ccflow`",
      samples: all.ccflow,
      budget: { must: 2, aim: 1, better: "lower" }
    }),
    compare({ ...common, what: "import of the Effect modules, not bundled", samples: all.effect })
  ]
}

/** What a command adds to a Node that does nothing. */
const added = (all: Measured<CommandName>, name: CommandName): Measured<CommandName>[CommandName] => {
  const { [name]: own, empty } = all
  if (own._tag === "leftOut" || empty._tag === "leftOut") return own
  return {
    _tag: "measured",
    rounds: own.rounds.map((sample, round) => ({
      cpuMs: (sample["cpuMs"] ?? NaN) - (empty.rounds[round]?.["cpuMs"] ?? NaN),
      wallMs: (sample["wallMs"] ?? NaN) - (empty.rounds[round]?.["wallMs"] ?? NaN)
    }))
  }
}

const commandRows = (all: Measured<CommandName>): ReadonlyArray<Row> => {
  const common = { base: all.empty, against: "`node -e 0`", cpu: "cpuMs", wall: "wallMs" } as const
  return [
    compare({ ...common, what: "process: `node -e 0`", samples: all.empty }),
    compare({ ...common, what: "process: `ccflow --version`", samples: all.ccflow }),
    compare({ ...common, what: "process: import of the official SDK", samples: all.sdk }),
    compare({
      ...common,
      what: "`ccflow --version`, added to `node -e 0`",
      samples: added(all, "ccflow"),
      base: added(all, "sdk"),
      against: "official SDK's import",
      judged: "wall",
      budget: { must: 1, aim: 0.5, better: "lower" }
    })
  ]
}

const measure = async ({ cpuHook, rounds, sdk }: Context) => {
  const without = <Name extends string>(names: ReadonlyArray<Name>) =>
    names.filter((name) => name !== "sdk" || sdk._tag === "found")
  const missing = sdk._tag === "found" ? {} : { sdk: leftOut(sdk.reason) }
  const imported = await interleave(
    without(Object.keys(modules) as ReadonlyArray<Module>),
    rounds(15, 5),
    (name) => runChild(program("imports"), { specifiers: modules[name] }, childEnvironment())
  )
  const ran = await interleave(
    without(Object.keys(commands) as ReadonlyArray<CommandName>),
    rounds(15, 5),
    (name) => runCommand(commands[name], cpuHook)
  )
  return { imported: { ...imported, ...missing }, ran: { ...ran, ...missing } }
}

export const startUp: Benchmark = {
  name: "startUp",
  run: async (context) => {
    const { imported, ran } = await measure(context)
    return [{ title: "Start-up", rows: [...importRows(imported), ...commandRows(ran)] }]
  }
}
