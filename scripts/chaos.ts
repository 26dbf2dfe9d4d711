// Many queries of CLIs that misbehave, under all policies: `npm run chaos -- --queries 2000 --minutes 5 --seed 1`.
import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { run } from "../test/fixtures/chaos/ordeal.js"

const { values } = parseArgs({
  options: {
    queries: { type: "string", default: "2000" },
    concurrency: { type: "string", default: "16" },
    processes: { type: "string", default: "6" },
    minutes: { type: "string", default: "0" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 31)) }
  }
})

const until = Date.now() + Number(values.minutes) * 60_000
let failed = false
let seed = Number(values.seed)
do {
  const folder = mkdtempSync(join(tmpdir(), "ccflow-chaos-"))
  const started = Date.now()
  console.log(`seed ${seed}`)
  const ordeal = await Effect.runPromise(run({
    queries: Number(values.queries),
    concurrency: Number(values.concurrency),
    maxProcesses: Number(values.processes),
    seed,
    folder,
    onProgress: (done) => done % 100 === 0 && process.stderr.write(`${done} `)
  }))
  process.stderr.write("\n")
  rmSync(folder, { recursive: true, force: true })
  console.log(JSON.stringify({ ...ordeal, seconds: (Date.now() - started) / 1000 }, undefined, 2))
  const { leaked, left, mostPermits, mostProcesses, twice, unexplained, wrong } = ordeal
  const faults = [...wrong, ...twice, ...left, ...unexplained]
  if (Math.max(mostPermits, mostProcesses) > Number(values.processes)) faults.push("too many processes")
  if (leaked > 650_000) faults.push("memory grows")
  for (const fault of faults) console.error(fault)
  failed ||= faults.length > 0
  seed++
} while (Date.now() < until && !failed)
process.exit(failed ? 1 : 0)
