import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  type BatchProgress,
  CCFlowError,
  createClient,
  InvalidOptionsError,
  makeClient,
  OverloadedError,
  SessionManager
} from "ccflow"
import { Schema } from "effect"
import { assert, describe, expectTypeOf, it } from "vitest"

type Script = Parameters<typeof FakeClaude.layer>[0]
const clientOf = (script: Script) => makeClient(FakeClaude.layer(script))

const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})

describe("querySimple", () => {
  it("gives the result's text, not what the deltas joined to", async () => {
    const turn = [FakeCli.init(), FakeCli.text("thinking aloud "), FakeCli.text("4"), FakeCli.result({ result: "4" })]
    assert.strictEqual(await clientOf([turn]).querySimple("2+2?"), "4")
  })

  it("runs many at once without mixing them up", async () => {
    const client = clientOf((index) => ({ turns: [FakeCli.answer(`answer ${index}`)] }))
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => client.querySimple(`q ${index}`)))
    assert.deepStrictEqual(new Set(answers).size, 100)
    await client.close()
  })
})

describe("batchQuery", () => {
  const slowFirst = (index: number) => ({
    turns: [[FakeCli.delay(index === 0 ? 30 : 1), ...FakeCli.answer(`answer ${index}`)]]
  })

  it("gives results in input order, however they end", async () => {
    const results = await clientOf(slowFirst).batchQuery(["a", "b", "c"])
    assert.deepStrictEqual(results.map(({ index, prompt, result }) => [index, prompt, result?.result]), [
      [0, "a", "answer 0"],
      [1, "b", "answer 1"],
      [2, "c", "answer 2"]
    ])
  })

  it("keeps one failure from hiding the others", async () => {
    const client = clientOf((index) => ({ turns: [index === 1 ? overloaded : FakeCli.answer("fine")] }))
    const results = await client.batchQuery(["a", "b", "c"])
    assert.deepStrictEqual(results.map(({ result }) => result?.result), ["fine", undefined, "fine"])
    assert.instanceOf(results[1]?.error, OverloadedError)
    assert.isTrue(results[1]?.error instanceof CCFlowError)
  })

  it("runs no more processes at once than it may", async () => {
    let running = 0
    let most = 0
    const client = clientOf(() => {
      most = Math.max(most, ++running)
      return { turns: [[FakeCli.delay(5), ...FakeCli.answer("x")]] }
    })
    await client.batchQuery(Array.from({ length: 12 }, () => "p"), {
      concurrency: 3,
      onProgress: () => {
        running--
      }
    })
    assert.strictEqual(most, 3)
  })

  it("reports progress once for each prompt, and survives a callback that throws", async () => {
    const seen: Array<BatchProgress> = []
    const warnings: Array<Error> = []
    const onWarning = (warning: Error) => void warnings.push(warning)
    process.on("warning", onWarning)
    const results = await clientOf(slowFirst).batchQuery(["a", "b", "c"], {
      onProgress: (progress) => {
        seen.push(progress)
        throw new Error("callback")
      }
    })
    await new Promise((resolve) => setImmediate(resolve))
    process.off("warning", onWarning)
    assert.strictEqual(results.length, 3)
    assert.deepStrictEqual(seen.map(({ completed, total }) => [completed, total]), [[1, 3], [2, 3], [3, 3]])
    assert.strictEqual(warnings.filter((warning) => warning.name === "CCFlowWarning").length, 3)
  })

  it("of nothing is nothing", async () => {
    assert.deepStrictEqual(await clientOf([]).batchQuery([]), [])
  })

  it("refuses a concurrency that is none", async () => {
    for (const concurrency of [0, -1, 1.5, Number.NaN]) {
      const error = await clientOf([]).batchQuery(["a"], { concurrency }).catch((error: unknown) => error)
      assert.instanceOf(error, InvalidOptionsError)
    }
  })

  it("stops as a whole when it is aborted, and starts no more", async () => {
    let started = 0
    const client = clientOf(() => {
      started++
      return { turns: [[FakeCli.init(), FakeCli.hang]] }
    })
    const controller = new AbortController()
    const batch = client.batchQuery(["a", "b", "c", "d"], { concurrency: 2, signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    const error = await batch.catch((error: unknown) => error)
    assert.strictEqual(error instanceof DOMException && error.name, "AbortError")
    assert.strictEqual(started, 2)
  })
})

describe("outputSchema", () => {
  const output = Schema.Struct({ sum: Schema.Number, at: Schema.Date })
  const turn = (
    structured: unknown
  ) => [FakeCli.init(), FakeCli.result({ structured_output: structured, result: "{}" })]

  it("decodes the output, typed", async () => {
    const query = clientOf([turn({ sum: 4, at: "2026-01-01T00:00:00.000Z" })]).query("x", { outputSchema: output })
    const { structuredOutput } = await query.result
    expectTypeOf(structuredOutput).toEqualTypeOf<{ readonly sum: number; readonly at: Date } | undefined>()
    assert.strictEqual(structuredOutput?.sum, 4)
    assert.strictEqual(structuredOutput?.at.getUTCFullYear(), 2026)
  })

  it("fails with the schema's complaint when the output does not decode", async () => {
    const error = await clientOf([turn({ sum: "four" })]).query("x", { outputSchema: output }).result.catch((
      e: unknown
    ) => e)
    assert.isTrue(error instanceof CCFlowError && error._tag === "StructuredOutputError")
  })

  it("fails when the model gave none", async () => {
    const error = await clientOf([FakeCli.answer("no")]).query("x", { outputSchema: output }).result.catch((
      e: unknown
    ) => e)
    assert.isTrue(error instanceof CCFlowError && error._tag === "StructuredOutputError")
  })
})

describe("options that are wrong", () => {
  const failureOf = (call: () => unknown): Promise<unknown> =>
    Promise.resolve().then(call).then(() => assert.fail("nothing was wrong"), (error: unknown) => error)

  it("are refused by name where they are no object, whatever is asked, and nothing is started", async () => {
    let started = 0
    await using client = clientOf(() => ({ turns: [FakeCli.answer(`${started++}`)] }))
    const session = client.session()
    const others: ReadonlyArray<unknown> = [null, "opus", 3, ["opus"]]
    for (const wrong of others as ReadonlyArray<never>) {
      const calls: Readonly<Record<string, () => unknown>> = {
        query: () => client.query("hi", wrong).result,
        iteration: () => client.query("hi", wrong).next(),
        querySimple: () => client.querySimple("hi", wrong),
        batchQuery: () => client.batchQuery(["hi"], wrong),
        batchItem: () => client.batchQuery([{ prompt: "hi", options: wrong }]),
        session: () => client.session(wrong),
        resume: () => client.sessions.resume("id", wrong).ready(),
        sendMessage: () => session.sendMessage("hi", wrong).result,
        fork: () => session.fork(wrong),
        submit: () => client.pool.submit("hi", wrong),
        createPool: () => client.createPool(wrong),
        health: () => client.health(wrong)
      }
      for (const [name, call] of Object.entries(calls)) {
        const error = await failureOf(call)
        assert.instanceOf(error, InvalidOptionsError, `${name}(${String(wrong)}): ${String(error)}`)
        assert.deepInclude(error, { field: "options", detail: "it must be an object" }, name)
      }
      const makers = [
        () => createClient(wrong),
        () => makeClient(FakeClaude.layer([]), wrong),
        () => new SessionManager(wrong)
      ]
      for (const make of makers) {
        assert.deepInclude(await failureOf(make), { _tag: "InvalidOptionsError", field: "config" })
      }
    }
    assert.strictEqual(started, 0)
  })

  it("are told with the type that has them: the client's, or the call's", async () => {
    await using client = createClient({ ["modell" as "model"]: "opus" })
    assert.deepInclude(await failureOf(() => client.querySimple("hi")), {
      field: "modell",
      hint: "See ClientConfig for what it takes."
    })
    await using other = clientOf([])
    assert.deepInclude(await failureOf(() => other.querySimple("hi", { ["modell" as "model"]: "opus" })), {
      field: "modell",
      hint: "See QueryOptions for what it takes."
    })
  })
})
