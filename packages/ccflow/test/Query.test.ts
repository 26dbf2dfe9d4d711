import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { makeClient, type Message, type Query } from "ccflow"
import { CCFlowError, CliExitError, InvalidOptionsError, OverloadedError } from "ccflow"
import { inspect } from "node:util"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { watched } from "./signals.js"

type Script = Parameters<typeof FakeClaude.layer>[0]
const clientOf = (script: Script) => makeClient(FakeClaude.layer(script))

const tags = async (query: Query): Promise<Array<Message["_tag"]>> => {
  const seen: Array<Message["_tag"]> = []
  for await (const message of query) seen.push(message._tag)
  return seen
}

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const wholeTurn = ["Init", "Text", "Assistant", "Stop", "Result"]
const overloaded = FakeCli.apiError({
  status: 529,
  code: "overloaded",
  type: "overloaded_error",
  message: "Overloaded"
})

let unhandled: Array<unknown>
const onUnhandled = (reason: unknown) => {
  unhandled.push(reason)
}
beforeEach(() => {
  unhandled = []
  process.on("unhandledRejection", onUnhandled)
})
afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve))
  process.off("unhandledRejection", onUnhandled)
  assert.deepStrictEqual(unhandled, [])
})

describe("a query", () => {
  it("says so where it is given something else for a signal, and crashes nobody", async () => {
    const { signal } = new AbortController()
    const client = clientOf([FakeCli.answer("4")])
    assert.strictEqual(await client.querySimple("2+2?", { signal }), "4")
    const controller = Object.assign(new AbortController(), { aborted: false }) as unknown as AbortSignal
    const asked = [
      client.querySimple("2+2?", { signal: controller }),
      client.batchQuery(["2+2?"], { signal: controller }),
      client.health({ signal: controller }),
      client.pool.submit("2+2?", { signal: controller }),
      client.session().sendMessage("2+2?", { signal: controller }).result
    ]
    for (const error of await Promise.all(asked.map(rejection))) {
      assert.instanceOf(error, InvalidOptionsError)
      assert.strictEqual((error as InvalidOptionsError).field, "signal")
    }
    await client.close()
  })

  it("is printed in a line, and so is a session: without what they were given", async () => {
    const client = makeClient(FakeClaude.layer([FakeCli.answer("4")]), { permissions: () => assert.fail() })
    const query = client.query("a secret", { systemPrompt: "a secret" })
    const session = client.session({ systemPrompt: "a secret", sessionId: "7e0ee301-c386-4dd0-9d9a-2d5e67b3c4ef" })
    assert.strictEqual(inspect(query), "Query { await its result, or iterate it }")
    assert.match(inspect(session), /^Session \{\s+id: '7e0ee301-c386-4dd0-9d9a-2d5e67b3c4ef',\s+turns: 0,[^{]+\}$/)
    await client.close()
  })

  it("yields the messages in order and ends", async () => {
    assert.deepStrictEqual(await tags(clientOf([FakeCli.answer("4")]).query("2+2?")), wholeTurn)
  })

  it("gives its result beside the iteration, to those who asked before and after", async () => {
    const query = clientOf([FakeCli.answer("4")]).query("2+2?")
    const before = query.result
    assert.deepStrictEqual(await tags(query), wholeTurn)
    assert.strictEqual((await before).result, "4")
    assert.strictEqual((await query.result).result, "4")
  })

  it("gives its result without an iteration", async () => {
    assert.strictEqual((await clientOf([FakeCli.answer("4")]).query("2+2?").result).result, "4")
  })

  it("gives its result within the loop, once the answer has been seen, and then what came after it", async () => {
    const after = FakeCli.emit({ type: "system", subtype: "status", status: "idle" })
    const query = clientOf([[...FakeCli.answer("4"), after]]).query("2+2?")
    const seen: Array<string> = []
    for await (const message of query) {
      seen.push(message._tag)
      if (message._tag === "Result") assert.strictEqual((await query.result).result, "4")
    }
    assert.deepStrictEqual(seen, [...wholeTurn, "Status"])
  })

  it("starts nothing before it is looked at", async () => {
    let started = 0
    const client = clientOf(() => {
      started++
      return { turns: [FakeCli.answer("4")] }
    })
    const query = client.query("2+2?")
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.strictEqual(started, 0)
    await query.result
    assert.strictEqual(started, 1)
    await client.close()
  })
})

describe("the iterator", () => {
  it("answers overlapping next() calls each with its own message, in order", async () => {
    const query = clientOf([FakeCli.answer("4")]).query("2+2?")
    const results = await Promise.all(Array.from({ length: 8 }, () => query.next()))
    assert.deepStrictEqual(results.map((result) => result.value?._tag), [...wholeTurn, undefined, undefined, undefined])
    assert.deepStrictEqual(results.map((result) => result.done), [...wholeTurn.map(() => false), true, true, true])
  })

  it("keeps the order when next() calls overlap with answered ones", async () => {
    const query = clientOf([[FakeCli.init(), FakeCli.delay(5), FakeCli.text("a"), FakeCli.text("b"), FakeCli.result()]])
      .query("x")
    const seen: Array<string | undefined> = []
    const calls: Array<Promise<void>> = []
    const call = () => calls.push(query.next().then((result) => void seen.push(result.value?._tag)))
    call()
    call()
    await calls[0]
    call()
    call()
    call()
    await Promise.all(calls)
    assert.deepStrictEqual(seen, ["Init", "Text", "Assistant", "Text", "Assistant"])
    await query.close()
  })

  it("says done again and again after the end", async () => {
    const query = clientOf([FakeCli.answer("4")]).query("2+2?")
    await tags(query)
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
  })

  it("ends a pending next() when return() is called", async () => {
    const query = clientOf([[FakeCli.init(), FakeCli.hang]]).query("x")
    assert.strictEqual((await query.next()).value?._tag, "Init")
    const pending = query.next()
    assert.deepStrictEqual(await query.return(), { done: true, value: undefined })
    assert.deepStrictEqual(await pending, { done: true, value: undefined })
  })

  it("rejects throw() with what was thrown in, and is done", async () => {
    const query = clientOf([[FakeCli.init(), FakeCli.hang]]).query("x")
    await query.next()
    const thrown = new RangeError("mine")
    assert.strictEqual(await rejection(query.throw(thrown)), thrown)
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
  })

  it("stops the CLI when the loop is left", async () => {
    const client = clientOf([[FakeCli.init(), FakeCli.hang]])
    for await (const message of client.query("x")) {
      if (message._tag === "Init") break
    }
    await client.close()
  })

  it("hands out every message that was seen before it throws the error", async () => {
    const query = clientOf([overloaded]).query("x")
    const seen: Array<string> = []
    const error = await rejection((async () => {
      for await (const message of query) seen.push(message._tag)
    })())
    assert.instanceOf(error, OverloadedError)
    assert.deepStrictEqual(seen, ["Init", "Text", "Error", "Assistant", "Stop", "Result"])
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
    assert.strictEqual(await rejection(query.result), error)
  })
})

describe("a failure", () => {
  it("is the tagged error itself, never a FiberFailure", async () => {
    const error = await rejection(clientOf([overloaded]).querySimple("x"))
    assert.instanceOf(error, OverloadedError)
    assert.isTrue(error instanceof CCFlowError)
    assert.instanceOf(error, Error)
    assert.strictEqual(error._tag, "OverloadedError")
  })

  it("of a result that nobody awaits is not an unhandled rejection", async () => {
    const query = clientOf([overloaded]).query("x")
    void query.result
    await rejection(tags(query))
  })

  it("names the option that is wrong, before anything is started", async () => {
    const error = await rejection(clientOf([FakeCli.answer("4")]).querySimple("x", { maxTurns: 0 }))
    assert.instanceOf(error, InvalidOptionsError)
    assert.strictEqual(error.field, "maxTurns")
  })

  it("of a CLI that dies carries how it died", async () => {
    const error = await rejection(
      clientOf([[FakeCli.init(), FakeCli.stderr("out of memory"), FakeCli.kill("SIGKILL")]]).querySimple("x")
    )
    assert.instanceOf(error, CliExitError)
    assert.strictEqual(error.facts.signal, "SIGKILL")
    assert.include(error.facts.stderrTail, "out of memory")
  })
})

describe("an abort", () => {
  it("ends the iteration and the result with an AbortError that carries the reason", async () => {
    const controller = new AbortController()
    const query = clientOf([[FakeCli.init(), FakeCli.hang]]).query("x", { signal: controller.signal })
    await query.next()
    const pending = rejection(query.next())
    controller.abort("enough")
    const error = await pending
    assert.instanceOf(error, DOMException)
    assert.strictEqual(error.name, "AbortError")
    assert.strictEqual(error.cause, "enough")
    assert.strictEqual(await rejection(query.result), error)
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
  })

  it("before the start starts nothing", async () => {
    let started = 0
    const client = clientOf(() => {
      started++
      return { turns: [] }
    })
    const error = await rejection(client.querySimple("x", { signal: AbortSignal.abort() }))
    assert.strictEqual(error instanceof DOMException && error.name, "AbortError")
    assert.strictEqual(started, 0)
  })

  it("after the end changes nothing", async () => {
    const controller = new AbortController()
    const query = clientOf([FakeCli.answer("4")]).query("x", { signal: controller.signal })
    await tags(query)
    controller.abort()
    assert.strictEqual((await query.result).result, "4")
    assert.deepStrictEqual(await query.next(), { done: true, value: undefined })
  })

  it("leaves no listener on the signal", async () => {
    const { listeners, signal } = watched()
    await clientOf([FakeCli.answer("4")]).querySimple("x", { signal })
    assert.strictEqual(listeners(), 0)
  })
})

describe("interrupt and close", () => {
  it("interrupt ends the turn well, with a result of what there was", async () => {
    const query = clientOf([[FakeCli.init(), FakeCli.text("half"), FakeCli.hang]]).query("x")
    const seen: Array<string> = []
    for await (const message of query) {
      seen.push(message._tag)
      if (message._tag === "Text") query.interrupt()
    }
    assert.deepStrictEqual(seen, ["Init", "Text", "Assistant", "Stop", "Result"])
    assert.strictEqual((await query.result).terminalReason, "aborted_streaming")
  })

  it("close is idempotent, and rejects a pending result", async () => {
    const query = clientOf([[FakeCli.init(), FakeCli.hang]]).query("x")
    await query.next()
    const pending = rejection(query.result)
    await Promise.all([query.close(), query.close()])
    await query.close()
    const error = await pending
    assert.strictEqual(error instanceof DOMException && error.name, "AbortError")
  })

  it("await using closes the query", async () => {
    let kept: Query | undefined
    {
      await using query = clientOf([[FakeCli.init(), FakeCli.hang]]).query("x")
      await query.next()
      kept = query
    }
    assert.deepStrictEqual(await kept.next(), { done: true, value: undefined })
  })

  it("closing the client ends what runs; later calls reject", async () => {
    const client = clientOf([[FakeCli.init(), FakeCli.hang]])
    const query = client.query("x")
    await query.next()
    const pending = query.next()
    await client.close()
    await client.close()
    assert.deepStrictEqual(await pending, { done: true, value: undefined })
    const error = await rejection(client.querySimple("y"))
    assert.strictEqual(error instanceof DOMException && error.name, "AbortError")
  })
})
