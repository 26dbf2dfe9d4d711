import { parametersOf, report, stopwatch } from "./measure.js"
import { rawQuery } from "./raw.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "floor" | "facade" | "effect" | "sdk"
  /** Prints the lines of the file that FAKE_FILE names. */
  readonly cli: string
  readonly lines: number
}

const { cli, lines, variant } = parametersOf<Parameters>()

/** Reads the whole answer and gives the number of messages handed out. */
const variants: Record<Parameters["variant"], () => Promise<() => Promise<number>>> = {
  floor: async () => async () => {
    let messages = 0
    await rawQuery(cli, "go", () => messages++)
    return messages
  },
  facade: async () => {
    const { createClient } = await import("ccflow")
    const client = createClient({ cliPath: cli, includePartialMessages: true })
    return async () => {
      let messages = 0
      for await (const _ of client.query("go")) messages++
      return messages
    }
  },
  effect: async () => {
    const Claude = await import("@ccflow/core/Claude")
    const NodeClaude = await import("@ccflow/node/NodeClaude")
    const Effect = await import("effect/Effect")
    const ManagedRuntime = await import("effect/ManagedRuntime")
    const Stream = await import("effect/Stream")
    const runtime = ManagedRuntime.make(NodeClaude.layerWith({ cliPath: cli, includePartialMessages: true }))
    await runtime.runtime()
    return async () => {
      let messages = 0
      await runtime.runPromise(
        Stream.runForEach(Claude.query("go"), () => Effect.sync(() => messages++))
      )
      return messages
    }
  },
  sdk: async () => {
    const { query } = await loadSdk()
    return async () => {
      let messages = 0
      const options = { pathToClaudeCodeExecutable: cli, includePartialMessages: true }
      for await (const _ of query({ prompt: "go", options })) messages++
      return messages
    }
  }
}

const read = await variants[variant]()
const passed = stopwatch()
const messages = await read()
const { cpuMs, wallMs } = passed()
if (messages < lines / 2) throw new Error(`${messages} messages of ${lines} lines`)
report({ cpuUs: cpuMs * 1000 / lines, wallUs: wallMs * 1000 / lines, messages })
