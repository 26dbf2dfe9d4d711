import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Ordeal, run } from "./fixtures/chaos/ordeal.js"
import { linux } from "./fixtures/lifecycle/processes.js"

const seed = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
const maxProcesses = 6

/** The same for 2,000 queries, or for minutes: `npm run chaos`. */
describe.skipIf(!linux)(
  `200 queries of CLIs that misbehave, under all policies, 16 at a time (CHAOS_SEED=${seed})`,
  () => {
    let folder: string
    let ordeal: Ordeal
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), "ccflow-chaos-"))
      ordeal = await Effect.runPromise(run({ queries: 200, concurrency: 16, maxProcesses, seed, folder }))
    }, 120_000)
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    it("end once each, with an answer or with the error that fits what was done to them", () => {
      assert.deepStrictEqual(ordeal.wrong, [])
      assert.strictEqual(Object.values(ordeal.ends).reduce((sum, count) => sum + count, 0), 200)
      assert.isAbove(ordeal.ends["answer"] ?? 0, 20)
    })

    it("are never answered twice, however often they are tried", () => {
      assert.deepStrictEqual(ordeal.twice, [])
    })

    it("have no more processes at once than they may", () => {
      assert.isAtMost(ordeal.mostPermits, maxProcesses)
      assert.isAtMost(ordeal.mostProcesses, maxProcesses)
      assert.isAbove(ordeal.mostProcesses, 2)
    })

    it("leave nothing behind: no process, descriptor, listener, pipe or timer, and no memory", () => {
      assert.deepStrictEqual(ordeal.left, [])
      assert.isBelow(ordeal.leaked, 650_000, ordeal.held.join(" "))
    })

    it("are all counted by the breaker, which no lost probe keeps open, and leave no place taken in any queue", () => {
      assert.deepStrictEqual(ordeal.unexplained, [])
    })
  }
)
