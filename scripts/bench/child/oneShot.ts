import { median } from "../statistics.js"
import { parametersOf, report, stopwatch } from "./measure.js"
import { rawQuery } from "./raw.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "bare" | "raw" | "rawEffect" | "facade" | "effect" | "sdk"
  readonly cli: string
  /** Asked first, so that the measured queries find compiled code. */
  readonly warmCli: string
  readonly warmup: number
  readonly count: number
}

const { cli, count, variant, warmCli, warmup } = parametersOf<Parameters>()

/** Asks once, and calls back at the first message that says the CLI is there. */
type Ask = (cli: string, onInit: () => void) => Promise<unknown>

const prompt = "What is 2+2?"

const raw: Ask = (cli, onInit) => rawQuery(cli, prompt, (line) => line.subtype === "init" ? onInit() : undefined)

const facade = async (): Promise<Ask> => {
  const { createClient } = await import("ccflow")
  const client = createClient()
  return async (cliPath, onInit) => {
    for await (const message of client.query(prompt, { cliPath })) if (message._tag === "Init") onInit()
  }
}

const effect = async (): Promise<Ask> => {
  const Claude = await import("@ccflow/core/Claude")
  const NodeClaude = await import("@ccflow/node/NodeClaude")
  const Effect = await import("effect/Effect")
  const ManagedRuntime = await import("effect/ManagedRuntime")
  const Stream = await import("effect/Stream")
  const runtime = ManagedRuntime.make(NodeClaude.layer)
  return (cliPath, onInit) =>
    runtime.runPromise(
      Stream.runForEach(
        Claude.query(prompt, { cliPath }),
        (message) => Effect.sync(() => message._tag === "Init" ? onInit() : undefined)
      )
    )
}

const sdk = async (): Promise<Ask> => {
  const { query } = await loadSdk()
  return async (pathToClaudeCodeExecutable, onInit) => {
    for await (const message of query({ prompt, options: { pathToClaudeCodeExecutable } })) {
      if (message.subtype === "init") onInit()
    }
  }
}

/** A raw spawn where the library is loaded too: what its memory alone costs is a price of loading it, not of asking. */
const loaded = (library: () => Promise<Ask>) => async (): Promise<Ask> => {
  await (await library())(warmCli, () => {})
  return raw
}

const measure = async (ask: Ask): Promise<void> => {
  for (let i = 0; i < warmup; i++) await ask(warmCli, () => {})
  const first: Array<number> = []
  const settled: Array<number> = []
  const passed = stopwatch()
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now()
    await ask(cli, () => first.push(performance.now() - startedAt))
    settled.push(performance.now() - startedAt)
  }
  report({
    cpuMs: passed().cpuMs / count,
    firstMs: median(first),
    settledMs: median(settled),
    rssMib: process.memoryUsage.rss() / 1024 / 1024
  })
}

const variants = { bare: async () => raw, raw: loaded(facade), rawEffect: loaded(effect), facade, effect, sdk }
await measure(await variants[variant]())
