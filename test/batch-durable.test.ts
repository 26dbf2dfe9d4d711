import { type BatchRecord, BatchRepository } from "@ccflow/core/BatchRepository"
import * as SqlBatchRepository from "@ccflow/sql/SqlBatchRepository"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import { Effect, Layer } from "effect"
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Line, Plan } from "./fixtures/batch/host.js"
import { fake } from "./fixtures/lifecycle/processes.js"
import { type Hosts, hosts } from "./support/hosts.js"

let world: Hosts<Plan, Line>
beforeAll(async () => {
  world = await hosts<Plan, Line>("batch/host.ts")
})
afterAll(() => world[Symbol.asyncDispose]())

const goOn = "go on with it"
const costUsd = 0.01

/** Each prompt that a CLI is given leaves a file: its session and its text. */
const script = (folder: string) => {
  const given = { writeFile: { path: join(folder, "prompts", "$UUID"), content: "$SESSION $PROMPT" } }
  const result = { result: { total_cost_usd: costUsd, model_usage_since_last_result: { opus: { costUSD: costUsd } } } }
  return {
    memory: join(folder, "memory"),
    match: [
      { prompt: goOn, steps: [given, { init: {} }, { delay: 30 }, { text: "the rest" }, result] },
      {
        prompt: "item",
        steps: [
          given,
          { init: {} },
          { delay: 60 },
          { text: "before the tool" },
          { tool: { name: "Bash", input: { command: "true" }, ms: 80 } },
          { delay: 30 },
          { text: ", after it" },
          result,
          { delay: 20 }
        ]
      }
    ]
  }
}

interface Prompted {
  readonly session: string
  readonly prompt: string
  readonly at: number
}

const prompted = (folder: string): ReadonlyArray<Prompted> =>
  readdirSync(join(folder, "prompts")).map((name) => {
    const path = join(folder, "prompts", name)
    const [, session = "", prompt = ""] = /^(\S*) (.*)$/s.exec(readFileSync(path, "utf8")) ?? []
    return { session, prompt, at: statSync(path).mtimeMs }
  })

const kept = (path: string) =>
  Effect.runPromise(
    Effect.flatMap(BatchRepository, (repository) =>
      Effect.all({ page: repository.list("nightly", { limit: 1000 }), totals: repository.totals("nightly") })).pipe(
        Effect.provide(Layer.provide(SqlBatchRepository.layer, SqliteFile.layer({ path })))
      )
  )

/** The same kills for the same seed. */
const random = (seed: number) => () => {
  seed = (seed * 1664525 + 1013904223) % 2 ** 32
  return seed / 2 ** 32
}

const seed = Number(process.env["CCFLOW_TEST_SEED"] ?? Date.now() % 100_000)

describe("a durable batch whose host is killed again and again", () => {
  it(
    "finishes each item once, asks no finished prompt again and resumes what has acted, and counts each cost once",
    async () => {
      const { folder } = world
      mkdirSync(join(folder, "prompts"))
      const path = join(folder, "batch.db")
      const items = Array.from({ length: 24 }, (_, n) => ({ key: `key ${n}`, prompt: `item ${n}` }))
      const start = () =>
        world.start({
          path,
          client: fake(script(folder)),
          items,
          batch: { id: "nightly", concurrency: 3, continuePrompt: goOn }
        })
      const next = random(seed)
      const own = (key: string) => prompted(folder).filter(({ prompt }) => prompt === key.replace("key", "item")).length

      /** When each end was seen, and how often it was given as new. */
      const seen = new Map<string, number>()
      const fresh: Array<string> = []
      /** Items that had acted when they were cut, and how often their prompt had been sent by then. */
      const acted = new Map<string, number>()
      const counts = { kills: 0, cut: 0, acted: 0 }

      const look = (lines: ReturnType<typeof start>["lines"]) => {
        for (const { at, error, key, restored, tag, detail } of lines) {
          assert.isUndefined(error)
          if (key === undefined) continue
          assert.strictEqual(tag, "Completed", detail)
          if (!seen.has(key)) seen.set(key, at)
          else assert.isTrue(restored, `${key} was finished twice`)
          if (restored === false) fresh.push(key)
        }
      }

      while (true) {
        const host = start()
        await host.said("anything", () => true)
        if (counts.kills === 5) {
          await host.ended
          look(host.lines)
          assert.strictEqual(host.lines.filter(({ key }) => key !== undefined).length, items.length, host.stderr())
          assert.closeTo(host.lines.at(-1)?.spent ?? 0, items.length * costUsd, 1e-9)
          break
        }
        await sleep(200 + next() * 700)
        await host.kill()
        counts.kills++
        look(host.lines)
        const { page } = await kept(path)
        for (const { committed, key, result, status } of page.items) {
          if (status !== "running") continue
          counts.cut++
          if (committed && result === undefined && !acted.has(key)) {
            acted.set(key, own(key))
            counts.acted++
          }
        }
      }

      const { page, totals } = await kept(path)
      const prompts = prompted(folder)
      const told = `CCFLOW_TEST_SEED=${seed} ${JSON.stringify(counts)}`
      assert.deepStrictEqual(new Set(page.items.map(({ status }) => status)), new Set(["completed"]), told)
      assert.strictEqual(page.items.length, items.length, told)
      assert.strictEqual(new Set(fresh).size, fresh.length, told)
      for (const record of page.items) {
        assert.strictEqual(record.costUsd, costUsd, `${record.key} ${told}`)
        const late = prompts.filter(of(record)).filter(({ at }) => at > (seen.get(record.key) ?? Infinity))
        assert.deepStrictEqual(late, [], `asked again when it was finished: ${record.key} ${told}`)
      }
      for (const [key, before] of acted) {
        assert.strictEqual(own(key), before, `its prompt was sent again: ${key} ${told}`)
        const record = page.items.find((item) => item.key === key)
        const resumed = prompts.filter(({ prompt, session }) => prompt === goOn && session === record?.sessionId)
        assert.isAbove(resumed.length, 0, `it was not resumed: ${key} ${told}`)
      }
      assert.deepInclude(totals, { running: 0, completed: items.length, failed: 0, cancelled: 0 })
      assert.closeTo(totals.costUsd, page.items.reduce((sum, item) => sum + item.costUsd, 0), 1e-9, told)
      assert.isAbove(counts.cut, 0, told)

      const again = start()
      await again.ended
      assert.deepStrictEqual(new Set(again.lines.flatMap(({ restored }) => restored ?? [])), new Set([true]))
      assert.strictEqual(prompted(folder).length, prompts.length)
      console.log(told)
    },
    60_000
  )
})

const of = (record: BatchRecord) => ({ prompt, session }: Prompted) =>
  prompt === record.prompt || session === record.sessionId
