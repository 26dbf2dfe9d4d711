import { readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { parametersOf, report, stopwatch } from "./measure.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "facade" | "sdk"
  readonly pace: "fast" | "slow"
  readonly cli: string
  /** What the CLI prints in the measured query. */
  readonly file: string
}

const { cli, file, pace, variant } = parametersOf<Parameters>()

type Messages = () => AsyncIterable<unknown>

const variants: Record<Parameters["variant"], () => Promise<Messages>> = {
  facade: async () => {
    const { createClient } = await import("ccflow")
    const client = createClient({ cliPath: cli, includePartialMessages: true })
    return () => client.query("go")
  },
  sdk: async () => {
    const { query } = await loadSdk()
    const options = { pathToClaudeCodeExecutable: cli, includePartialMessages: true }
    return () => query({ prompt: "go", options })
  }
}

const mib = 1024 * 1024

/** What the system has seen. Not `maxRSS`, which on Linux remembers the process that started this one. */
const highWater = (): number => {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? []
    return Number(kib ?? 0) * 1024
  } catch {
    return 0
  }
}

const messages = await variants[variant]()
for await (const _ of messages()) { /* the code is loaded and has run once */ }

process.env["FAKE_FILE"] = file
const baseline = process.memoryUsage.rss()
const passed = stopwatch()
let seen = 0
let peak = 0
for await (const _ of messages()) {
  seen++
  if (seen % 500 === 0) peak = Math.max(peak, process.memoryUsage.rss())
  // Long enough at first that a reader without bounds has read everything.
  if (pace === "slow" && seen % 2000 === 1) await sleep(seen === 1 ? 1500 : 5)
}
const { cpuMs, wallMs } = passed()
report({
  peakMib: (Math.max(peak, highWater()) - baseline) / mib,
  baselineMib: baseline / mib,
  seen,
  cpuMs,
  wallMs
})
