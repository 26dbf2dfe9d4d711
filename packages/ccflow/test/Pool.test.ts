import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { InvalidOptionsError, makeClient, OverloadedError, type PoolTask } from "ccflow"
import { FastCheck as fc } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import type { QueryOptions } from "../src/Client.js"
import { abortError } from "../src/internal/abort.js"
import * as Pool from "../src/Pool.js"
import type { Query } from "../src/Query.js"

type Script = Parameters<typeof FakeClaude.layer>[0]
const clientOf = (script: Script) => makeClient(FakeClaude.layer(script))
const echo: Script = { respond: (prompt) => FakeCli.answer(`echo: ${prompt}`) }
const hangs: Script = { respond: () => [FakeCli.init(), FakeCli.hang] }
const mixed: Script = {
  respond: (prompt) =>
    prompt.startsWith("bad")
      ? FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: "Overloaded" })
      : prompt.startsWith("hang")
      ? [FakeCli.init(), FakeCli.hang]
      : FakeCli.answer(`echo: ${prompt}`)
}

const nameOf = (error: unknown): string => error instanceof DOMException ? error.name : String(error)
const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => assert.fail(`gave ${String(value)}`), (error: unknown) => error)
const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(1)
}

/** Queries that end when the test says so. */
const byHand = () => {
  const running = new Map<string, (end: "good" | "bad" | "stopped") => void>()
  const begun: Array<string> = []
  const options = new Map<string, QueryOptions>()
  const start = (prompt: unknown, given: QueryOptions) => {
    const name = String(prompt)
    begun.push(name)
    options.set(name, given)
    let settle: (end: "good" | "bad" | "stopped") => void = () => {}
    const result = new Promise((resolve, reject) => {
      settle = (end) => {
        running.delete(name)
        if (end === "good") resolve({ result: name })
        else reject(end === "bad" ? new Error(name) : abortError())
      }
      running.set(name, settle)
    })
    result.catch(() => {})
    return {
      result,
      close: async () => {
        await Promise.resolve()
        if (running.has(name)) settle("stopped")
      }
    } as unknown as Query
  }
  const end = (name: string, how: "good" | "bad" = "good") => running.get(name)?.(how)
  return { begun, end, open: new Set<never>() as Set<never>, options, running, start }
}
const poolOf = (hand: ReturnType<typeof byHand>, options?: Pool.PoolOptions) =>
  Pool.make({ start: hand.start, open: new Set() }, options)

describe("a task", () => {
  it("gives its result to everybody who waits for it, by itself or by its id", async () => {
    const { pool } = clientOf(echo)
    const task = await pool.submit("a")
    const results = await Promise.all([pool.wait(task), pool.wait(task.id), task.result])
    assert.deepStrictEqual(results.map(({ result }) => result), ["echo: a", "echo: a", "echo: a"])
    assert.deepStrictEqual([task.status, task.prompt, task.error], ["completed", "a", undefined])
    assert.strictEqual(pool.get(task.id), task)
  })

  it("that fails says so and with what, and the others go on", async () => {
    const { pool } = clientOf(mixed)
    const [good, bad] = await pool.map(["good", "bad"])
    assert.instanceOf(await thrown(pool.wait(bad!)), OverloadedError)
    assert.strictEqual((await pool.wait(good!)).result, "echo: good")
    assert.deepStrictEqual([good?.status, bad?.status], ["completed", "failed"])
    assert.instanceOf(bad?.error, OverloadedError)
  })

  it("whose failure nobody looks at breaks nothing", async () => {
    const client = clientOf(mixed)
    const unhandled: Array<unknown> = []
    const onUnhandled = (error: unknown) => void unhandled.push(error)
    process.on("unhandledRejection", onUnhandled)
    const task = await client.pool.submit("bad")
    await until(() => task.status === "failed")
    await sleep(5)
    process.off("unhandledRejection", onUnhandled)
    assert.deepStrictEqual(unhandled, [])
  })

  it("runs with the highest priority first, of equal ones the oldest", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { maxWorkers: 1 })
    await pool.submit("first")
    for (const [name, priority] of [["low", -1], ["a", 0], ["high", 5], ["b", 0]] as const) {
      await pool.submit(name, { priority })
    }
    for (const name of ["first", "high", "a", "b", "low"]) {
      assert.deepStrictEqual([...hand.running.keys()], [name])
      hand.end(name)
      await sleep(0)
    }
  })

  it("has the pool's timeout unless it has its own", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { taskTimeout: "1 minute" })
    await pool.map(["a"])
    await pool.map(["b"], { timeout: 5, model: "opus" })
    assert.strictEqual(hand.options.get("a")?.timeout, "1 minute")
    assert.deepStrictEqual([hand.options.get("b")?.timeout, hand.options.get("b")?.model], [5, "opus"])
  })
})

describe("wait", () => {
  it("with a timeout of 0 only looks", async () => {
    const { pool } = clientOf(mixed)
    const [hanging, good] = await pool.map(["hang", "good"])
    await until(() => good?.status === "completed")
    assert.strictEqual((await pool.wait(good!, { timeout: 0 })).result, "echo: good")
    assert.strictEqual(nameOf(await thrown(pool.wait(hanging!, { timeout: 0 }))), "TimeoutError")
    await pool.close()
  })

  it("gives up in time, and the task goes on", async () => {
    const hand = byHand()
    const pool = poolOf(hand)
    const task = await pool.submit("a")
    assert.strictEqual(nameOf(await thrown(pool.wait(task, { timeout: "5 millis" }))), "TimeoutError")
    assert.strictEqual(task.status, "running")
    hand.end("a")
    assert.strictEqual((await pool.wait(task, { timeout: Infinity })).result, "a")
  })

  it("refuses what is no duration, and an id that it does not know", async () => {
    const pool = poolOf(byHand())
    const task = await pool.submit("a")
    assert.instanceOf(await thrown(pool.wait(task, { timeout: Number.NaN })), InvalidOptionsError)
    assert.instanceOf(await thrown(pool.wait("nobody")), InvalidOptionsError)
    assert.isFalse(await pool.cancel("nobody"))
  })
})

describe("gather", () => {
  it("gives results in the order of its tasks, whichever ended first", async () => {
    const hand = byHand()
    const pool = poolOf(hand)
    const [a, b, c] = await pool.map(["a", "b", "c"])
    const gathered = pool.gather(c!, a!.id, b!)
    for (const name of ["b", "a", "c"]) hand.end(name)
    assert.deepStrictEqual((await gathered).map(({ result }) => result), ["c", "a", "b"])
  })

  it("rejects with what one failed with, and with `settle` tells how each ended", async () => {
    const { pool } = clientOf(mixed)
    const tasks = await pool.map(["good", "bad"])
    assert.instanceOf(await thrown(pool.gather(tasks)), OverloadedError)
    assert.deepStrictEqual(
      (await pool.gather(tasks, { settle: true })).map(({ status }) => status),
      ["fulfilled", "rejected"]
    )
    assert.deepStrictEqual(await pool.gather(), [])
  })
})

describe("cancel", () => {
  it("stops what runs: nothing is left of it when it says so, and the worker is free", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { maxWorkers: 1 })
    const [first, second] = await pool.map(["first", "second"])
    assert.isTrue(await pool.cancel(first!))
    assert.deepStrictEqual([...hand.running.keys()], ["second"])
    assert.strictEqual(nameOf(first?.error), "AbortError")
    assert.strictEqual(nameOf(await thrown(pool.wait(first!))), "AbortError")
    assert.strictEqual(second?.status, "running")
  })

  it("stops a CLI that hangs", async () => {
    const client = clientOf(hangs)
    const task = await client.pool.submit("a")
    await sleep(5)
    assert.isTrue(await client.pool.cancel(task.id))
    assert.strictEqual(task.status, "cancelled")
    await client.close()
  })

  it("takes what waits out of the queue, and starts nothing for it", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { maxWorkers: 1, maxQueueSize: 1 })
    const [, b] = await pool.map(["a", "b"])
    const outside = pool.submit("c")
    assert.isTrue(await pool.cancel(b!))
    assert.strictEqual((await outside).status, "pending", "its place in the queue is free")
    hand.end("a")
    await sleep(0)
    assert.deepStrictEqual(hand.begun, ["a", "c"])
    assert.isFalse(await pool.cancel(b!), "it has ended already")
  })

  it("by the signal of its options, whether it waits or runs, with the signal's reason", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { maxWorkers: 1 })
    const controller = new AbortController()
    const tasks = await pool.map(["a", "b"], { signal: controller.signal })
    controller.abort("enough")
    for (const task of tasks) {
      const error = await thrown(task.result)
      assert.deepStrictEqual([nameOf(error), error instanceof Error && error.cause], ["AbortError", "enough"])
    }
    const [late] = await pool.map(["c"], { signal: controller.signal })
    assert.strictEqual(late?.status, "cancelled")
    assert.deepStrictEqual(hand.begun, ["a"])
  })
})

describe("back-pressure", () => {
  it("lets a submitter wait while the queue is full, and go on in its turn", async () => {
    const hand = byHand()
    const pool = poolOf(hand, { maxWorkers: 1, maxQueueSize: 2 })
    const taken: Array<string> = []
    const submit = (name: string) => pool.submit(name).then(() => taken.push(name))
    for (const name of ["a", "b", "c", "d", "e"]) void submit(name)
    await sleep(0)
    assert.deepStrictEqual(taken, ["a", "b", "c"])
    hand.end("a")
    await sleep(0)
    assert.deepStrictEqual(taken, ["a", "b", "c", "d"])
    hand.end("b")
    await sleep(0)
    assert.deepStrictEqual(taken, ["a", "b", "c", "d", "e"])
  })

  it("maps more prompts than the queue holds, and loses no task", async () => {
    const pool = clientOf(echo).createPool({ maxQueueSize: 10 })
    const prompts = Array.from({ length: 40 }, (_, index) => String(index))
    const tasks = await pool.map(prompts)
    assert.deepStrictEqual(
      (await pool.gather(tasks)).map(({ result }) => result),
      prompts.map((prompt) => `echo: ${prompt}`)
    )
  })
})

describe("close", () => {
  it("ends every task and every wait, and takes no more", async () => {
    const client = clientOf(hangs)
    const pool = client.createPool({ maxWorkers: 2, maxQueueSize: 1 })
    const tasks = pool.map(["a", "b", "c", "d", "e"])
    const submitted = pool.submit("f")
    await sleep(5)
    await pool.close()
    for (const task of [...await tasks, await submitted]) {
      assert.strictEqual(task.status, "cancelled")
      assert.strictEqual(nameOf(await thrown(pool.wait(task))), "AbortError")
    }
    assert.strictEqual(nameOf(await thrown(pool.submit("late"))), "AbortError")
    assert.strictEqual(nameOf(await thrown(pool.map(["late"]))), "AbortError")
    await pool.close()
    await client.close()
  })

  it("with `wait` lets those end that there are", async () => {
    const { pool } = clientOf(echo)
    const tasks = pool.map(["a", "b", "c", "d", "e", "f"])
    await pool.close({ wait: true })
    assert.deepStrictEqual((await tasks).map(({ status }) => status), Array.from({ length: 6 }, () => "completed"))
  })

  it("comes with that of the client, and starts nothing that waits", async () => {
    let started = 0
    const client = clientOf(() => {
      started++
      return { turns: [[FakeCli.init(), FakeCli.hang]] }
    })
    const tasks = await client.pool.map(["a", "b", "c", "d", "e", "f"])
    await until(() => started === 4)
    const waits = tasks.map((task) => thrown(client.pool.wait(task)))
    await client.close()
    assert.deepStrictEqual((await Promise.all(waits)).map(nameOf), tasks.map(() => "AbortError"))
    assert.deepStrictEqual(tasks.map(({ status }) => status), tasks.map(() => "cancelled"))
    assert.strictEqual(started, 4)
  })

  it("leaves nothing of a pool that is closed with its client", async () => {
    const open = new Set<never>()
    const pool = Pool.make({ start: byHand().start, open })
    assert.strictEqual(open.size, 1)
    await pool.submit("a")
    await pool.close()
    assert.strictEqual(open.size, 0)
  })
})

describe("the pool of a client", () => {
  it("is one and the same, with 4 workers", async () => {
    const client = clientOf(hangs)
    assert.strictEqual(client.pool, client.pool)
    await client.pool.map(["a", "b", "c", "d", "e"])
    assert.deepStrictEqual(client.pool.stats(), {
      size: 4,
      active: 4,
      pending: 1,
      completed: 0,
      failed: 0,
      cancelled: 0,
      total: 5,
      utilization: 1
    })
    await client.close()
  })

  it("refuses options that make no sense, and names them", () => {
    for (
      const [field, options] of [
        ["maxWorkers", { maxWorkers: 0 }],
        ["maxWorkers", { maxWorkers: 1.5 }],
        ["maxQueueSize", { maxQueueSize: 0 }],
        ["retain", { retain: -1 }],
        ["taskTimeout", { taskTimeout: Number.NaN }],
        ["taskTimeout", { taskTimeout: 0 }]
      ] as const
    ) {
      try {
        clientOf([]).createPool(options)
        assert.fail(field)
      } catch (error) {
        assert.isTrue(error instanceof InvalidOptionsError && error.field === field, field)
      }
    }
  })

  it("forgets ended tasks beyond those that it is to keep; who holds one still knows its end", async () => {
    const pool = clientOf(echo).createPool({ retain: 2 })
    const tasks: Array<PoolTask> = []
    for (const prompt of ["a", "b", "c", "d"]) {
      tasks.push(await pool.submit(prompt))
      await tasks.at(-1)!.result
    }
    assert.deepStrictEqual(tasks.map(({ id }) => pool.get(id)?.prompt), [undefined, undefined, "c", "d"])
    assert.strictEqual((await pool.wait(tasks[0]!)).result, "echo: a")
  })
})

// A pool next to the plainest thing that could be one: lists, sorted when looked at.
describe("against a model", () => {
  interface Row {
    readonly name: string
    readonly priority: number
    status: Pool.PoolStatus
  }
  type Step =
    | { readonly _tag: "submit"; readonly priority: number }
    | { readonly _tag: "end"; readonly which: number; readonly how: "good" | "bad" }
    | { readonly _tag: "cancel"; readonly which: number }
    | { readonly _tag: "close" }

  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ _tag: fc.constant("submit" as const), priority: fc.integer({ min: -1, max: 1 }) })
    },
    {
      weight: 5,
      arbitrary: fc.record({
        _tag: fc.constant("end" as const),
        which: fc.nat(20),
        how: fc.constantFrom("good" as const, "bad" as const)
      })
    },
    { weight: 3, arbitrary: fc.record({ _tag: fc.constant("cancel" as const), which: fc.nat(30) }) },
    { weight: 1, arbitrary: fc.constant({ _tag: "close" as const }) }
  )

  const ended = (row: Row) => row.status !== "pending" && row.status !== "running"

  it("every task has the state that the plainest pool gives it, after any steps", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(step, { maxLength: 40 }),
        async (maxWorkers, maxQueueSize, steps) => {
          const hand = byHand()
          const pool = poolOf(hand, { maxWorkers, maxQueueSize })
          const rows: Array<Row> = []
          const tasks = new Map<string, PoolTask>()
          const begun: Array<string> = []
          let closed = false

          const settle = () => {
            while (!closed && rows.filter(({ status }) => status === "running").length < maxWorkers) {
              const next = rows.filter(({ status }) => status === "pending").sort((a, b) => b.priority - a.priority)[0]
              if (next === undefined) break
              next.status = "running"
              begun.push(next.name)
            }
          }

          for (const each of steps) {
            switch (each._tag) {
              case "submit": {
                if (closed) {
                  assert.strictEqual(nameOf(await thrown(pool.submit("late"))), "AbortError")
                  break
                }
                const name = `t${rows.length}`
                rows.push({ name, priority: each.priority, status: "pending" })
                void pool.submit(name, { priority: each.priority }).then((task) => tasks.set(name, task))
                break
              }
              case "end": {
                const running = rows.filter(({ status }) => status === "running")
                const row = running[each.which % Math.max(1, running.length)]
                if (row === undefined) break
                hand.end(row.name, each.how)
                row.status = each.how === "good" ? "completed" : "failed"
                break
              }
              case "cancel": {
                const row = rows[each.which % Math.max(1, rows.length)]
                const task = row === undefined ? undefined : tasks.get(row.name)
                if (row === undefined || task === undefined) break
                const could = !ended(row)
                if (could) row.status = "cancelled"
                assert.strictEqual(await pool.cancel(each.which % 2 === 0 ? task : task.id), could)
                break
              }
              case "close": {
                await pool.close()
                closed = true
                for (const row of rows) if (!ended(row)) row.status = "cancelled"
              }
            }
            settle()
            await new Promise((resolve) => setImmediate(resolve))
            assert.deepStrictEqual(hand.begun, begun)
            for (const row of rows) {
              const task = tasks.get(row.name)
              if (task !== undefined) assert.strictEqual(task.status, row.status, row.name)
            }
            const count = (status: Pool.PoolStatus) => rows.filter((row) => row.status === status).length
            const active = count("running")
            assert.deepStrictEqual(pool.stats(), {
              size: maxWorkers,
              active,
              pending: count("pending"),
              completed: count("completed"),
              failed: count("failed"),
              cancelled: count("cancelled"),
              total: rows.length,
              utilization: active / maxWorkers
            })
            // A submitter waits only while the queue is full: all but so many of those that wait have been taken.
            const outside = rows.filter(({ name }) => !tasks.has(name))
            assert.strictEqual(outside.length, Math.max(0, count("pending") - maxQueueSize))
          }

          await pool.close()
          await new Promise((resolve) => setImmediate(resolve))
          assert.strictEqual(tasks.size, rows.length)
          for (const task of tasks.values()) {
            assert.include(["completed", "failed", "cancelled"], task.status)
            await task.result.catch(() => {})
          }
          assert.strictEqual(hand.running.size, 0)
        }
      ),
      { numRuns: 300 }
    )
  })
})
