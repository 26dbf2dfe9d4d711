import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  allow,
  type BatchProgress,
  type BatchResult,
  BudgetExceededError,
  InvalidOptionsError,
  makeClient,
  OverloadedError
} from "ccflow"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, it } from "vitest"

type Script = Parameters<typeof FakeClaude.layer>[0]
const clientOf = (script: Script, storagePath?: string) => makeClient(FakeClaude.layer(script), { storagePath })

/** Answers what it is asked, and keeps a list of that. */
const echo = (asked: Array<string> = []): Script => ({
  respond: (prompt) => {
    asked.push(prompt)
    return prompt.startsWith("bad")
      ? FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: "Overloaded" })
      : FakeCli.answer(`echo: ${prompt}`)
  }
})
const textOf = ({ error, result }: BatchResult) => result?.result ?? error?._tag
const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then((value) => assert.fail(`gave ${String(value)}`), (error: unknown) => error)
const isAbort = (error: unknown) => error instanceof DOMException && error.name === "AbortError"

describe("batchQuery", () => {
  it("takes prompts with keys and options of their own, over those of the batch", async () => {
    const models: Array<string | undefined> = []
    const client = clientOf((_, { args }) => {
      models.push(args.find((arg) => arg.startsWith("--model=")))
      return { turns: [FakeCli.answer("x")] }
    })
    const results = await client.batchQuery(
      ["a", { prompt: "b", key: "mine", options: { model: "opus" } }, [{ type: "text", text: "c" }]],
      { model: "haiku", concurrency: 1 }
    )
    assert.deepStrictEqual(models, ["--model=haiku", "--model=opus", "--model=haiku"])
    assert.deepStrictEqual(results.map(({ prompt }) => prompt), ["a", "b", [{ type: "text", text: "c" }]])
    assert.strictEqual(results[1]?.key, "mine")
    assert.strictEqual(new Set(results.map(({ key }) => key)).size, 3)
  })

  it("asks what has a higher priority first", async () => {
    const asked: Array<string> = []
    await clientOf(echo(asked)).batchQuery(
      [{ prompt: "low", priority: -1 }, "middle", { prompt: "high", priority: 1 }],
      { concurrency: 1 }
    )
    assert.deepStrictEqual(asked, ["high", "middle", "low"])
  })

  it("tells how many have ended and failed, for how much, and in order where that is wanted", async () => {
    const seen: Array<BatchProgress> = []
    const result = FakeCli.result({ total_cost_usd: 0.5 })
    const script: Script = {
      respond: (prompt) => [FakeCli.init(), ...prompt === "a" ? [FakeCli.askPermission("Bash", {})] : [], result]
    }
    for (const ordered of [false, true]) {
      seen.length = 0
      const client = clientOf(script)
      const othersEnded = new Promise<void>((resolve) => {
        let ended = 0
        client.events.on("QueryEnded", () => ++ended === 2 ? resolve() : undefined)
      })
      await client.batchQuery(["a", "b", "c"], {
        ordered,
        onProgress: (progress) => seen.push(progress),
        permissions: () => othersEnded.then(() => allow())
      })
      assert.deepStrictEqual(seen.map(({ completed, total }) => [completed, total]), [[1, 3], [2, 3], [3, 3]])
      assert.strictEqual(seen.at(-1)?.costUsd, 1.5)
      assert.strictEqual(seen.at(ordered ? 0 : -1)?.latest.prompt, "a")
    }
    seen.length = 0
    await clientOf(echo()).batchQuery(["a", "bad"], { onProgress: (progress) => seen.push(progress) })
    assert.strictEqual(seen.at(-1)?.failed, 1)
  })

  it("begins nothing more once its budget is spent, and the others say so", async () => {
    const asked: Array<string> = []
    const results = await clientOf({
      respond: (prompt) => {
        asked.push(prompt)
        return [FakeCli.init(), FakeCli.result({ result: "x", total_cost_usd: 0.6 })]
      }
    }).batchQuery(["a", "b", "c", "d"], { concurrency: 1, maxBudgetUsd: 1 })
    assert.deepStrictEqual(asked, ["a", "b"])
    assert.deepStrictEqual(results.map(textOf), ["x", "x", "BudgetExceededError", "BudgetExceededError"])
    assert.instanceOf(results[3]?.error, BudgetExceededError)
  })

  it("rejects with the signal's reason when everything has been stopped, and at once where it is aborted", async () => {
    let running = 0
    const client = clientOf(() => {
      running++
      return { turns: [[FakeCli.init(), FakeCli.hang]] }
    })
    const controller = new AbortController()
    const batch = thrown(client.batchQuery(["a", "b", "c"], { concurrency: 2, signal: controller.signal }))
    while (running < 2) await sleep(1)
    controller.abort("enough")
    const error = await batch
    assert.isTrue(isAbort(error) && error instanceof Error && error.cause === "enough")
    assert.isTrue(isAbort(await thrown(client.batchQuery(["late"], { signal: controller.signal }))))
    assert.strictEqual(running, 2)
    await client.close()
  })

  it("rejects when its client is closed, and the client waits for its end", async () => {
    let running = 0
    const client = clientOf(() => {
      running++
      return { turns: [[FakeCli.init(), FakeCli.hang]] }
    })
    let ended = false
    const batch = thrown(client.batchQuery(["a", "b"])).finally(() => {
      ended = true
    })
    while (running < 2) await sleep(1)
    await client.close()
    await Promise.resolve()
    assert.isTrue(ended)
    assert.isTrue(isAbort(await batch))
  })

  it("gives one with bad options an error, and the others what they asked for", async () => {
    const results = await clientOf(echo()).batchQuery(["a", { prompt: "b", options: { maxTurns: 0 } }])
    assert.deepStrictEqual(results.map(textOf), ["echo: a", "InvalidOptionsError"])
  })

  it("asks nothing where it is given a text in place of a list: it would ask each letter", async () => {
    const asked: Array<string> = []
    const error = await thrown(clientOf(echo(asked)).batchQuery("Hello" as unknown as ReadonlyArray<string>))
    assert.isTrue(error instanceof InvalidOptionsError && error.field === "prompts")
    assert.deepStrictEqual(asked, [])
  })

  it("holds the order of many, however they overtake each other", async () => {
    const prompts = Array.from({ length: 200 }, (_, index) => `p${index}`)
    const results = await clientOf(echo()).batchQuery(prompts, { concurrency: 50 })
    assert.deepStrictEqual(results.map(textOf), prompts.map((prompt) => `echo: ${prompt}`))
  })
})

describe("batchQuery with an id", () => {
  const inFile = async (use: (path: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), "ccflow-batch-"))
    try {
      await use(join(folder, "sessions.db"))
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  it("asks nothing again that was answered by an earlier client, and the failed only when it is told to", () =>
    inFile(async (path) => {
      const asked: Array<string> = []
      const run = async (prompts: ReadonlyArray<string>, retryFailed?: boolean) => {
        await using client = clientOf(echo(asked), path)
        return (await client.batchQuery(prompts, { id: "nightly", retryFailed })).map(textOf)
      }
      assert.deepStrictEqual(await run(["a", "bad"]), ["echo: a", "OverloadedError"])
      assert.deepStrictEqual(await run(["a", "bad", "c"]), ["echo: a", "OverloadedError", "echo: c"])
      assert.deepStrictEqual(asked.toSorted(), ["a", "bad", "c"])
      await run(["a", "bad", "c"], true)
      assert.deepStrictEqual(asked.toSorted(), ["a", "bad", "bad", "c"])
    }))

  it("gives the error of an earlier run as it was", () =>
    inFile(async (path) => {
      for (let run = 0; run < 2; run++) {
        await using client = clientOf(echo(), path)
        assert.instanceOf((await client.batchQuery(["bad"], { id: "x" }))[0]?.error, OverloadedError)
      }
    }))

  it("counts what earlier runs have spent", () =>
    inFile(async (path) => {
      const script = [FakeCli.init(), FakeCli.result({ result: "x", total_cost_usd: 0.6 })]
      const run = async (prompts: ReadonlyArray<string>) => {
        await using client = clientOf([script], path)
        return (await client.batchQuery(prompts, { id: "x", maxBudgetUsd: 1, concurrency: 1 })).map(textOf)
      }
      assert.deepStrictEqual(await run(["a"]), ["x"])
      assert.deepStrictEqual(await run(["a", "b", "c"]), ["x", "x", "BudgetExceededError"])
    }))

  it("is refused by a client that keeps nothing", async () => {
    const error = await thrown(clientOf(echo()).batchQuery(["a"], { id: "x" }))
    assert.isTrue(error instanceof InvalidOptionsError && error.field === "id")
  })
})
