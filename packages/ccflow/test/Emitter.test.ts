import * as Events from "@ccflow/core/Events"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { makeClient, type Query } from "ccflow"
import { Clock, Exit } from "effect"
import { assert, describe, expectTypeOf, it } from "vitest"
import * as Emitter from "../src/Emitter.js"
import { EventFlow } from "../src/internal/eventFlow.js"

const clientOf = (script: Parameters<typeof FakeClaude.layer>[0]) => makeClient(FakeClaude.layer(script))
const answering = () => clientOf({ respond: (prompt) => FakeCli.answer(`${prompt}!`) })

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** An emitter over a bus that the test tells things to, and how often the bus was asked for. */
const emitting = () => {
  const bus = Events.unsafeMake(Clock.make())
  let asked = 0
  const events = new EventFlow(async () => {
    asked++
    return Exit.succeed(bus)
  })
  const emitter = Emitter.make({ events })
  const tell = (...figures: ReadonlyArray<number>) => {
    for (const waitedMs of figures) bus.tell({ _tag: "Queued", waitedMs })
  }
  return { bus, emitter, events, tell, asked: () => asked }
}

/** Warnings of the process while something runs. */
const warnings = async (run: () => Promise<unknown>) => {
  const seen: Array<Error> = []
  const listener = (warning: Error) => {
    if (warning.name === "CcflowListenerWarning") seen.push(warning)
  }
  process.on("warning", listener)
  await run()
  await turn()
  process.off("warning", listener)
  return seen.map(({ message }) => message)
}

describe("client.events", () => {
  it("tells what a query does, also where it is listened to before anything was asked", async () => {
    const client = answering()
    const heard: Array<string> = []
    const ended: Array<unknown> = []
    client.events.onAny(({ _tag }) => heard.push(_tag))
    client.events.on("QueryEnded", ({ outcome, result }) => ended.push([outcome, result]))
    assert.strictEqual(await client.querySimple("hi"), "hi!")
    await turn()
    assert.includeMembers(heard, ["QueryStarted", "ProcessStarted", "MessageReceived", "QueryEnded", "ProcessEnded"])
    assert.deepStrictEqual(ended, [["success", "hi!"]])
    await client.close()
  })

  it("tells the tokens of each model, as the README has it", async () => {
    const client = answering()
    const totals: Array<number> = []
    client.events.on("TokensUsed", (e) => totals.push(e.totalTokens))
    await client.querySimple("hi")
    await client.close()
    for (const total of totals) assert.isNumber(total)
    expectTypeOf(client.events.on<"TokensUsed">).parameter(1).parameter(0).toHaveProperty("totalTokens")
  })

  it("tells of a session to its very end, and then ends its loops", async () => {
    const client = answering()
    const heard: Array<string> = []
    const loop = (async () => {
      for await (const { _tag } of client.events) heard.push(_tag)
    })()
    const session = client.session()
    await session.sendMessage("one").result
    await client.close()
    await loop
    assert.strictEqual(heard.filter((type) => type === "SessionCreated").length, 1)
    assert.strictEqual(heard.filter((type) => type === "SessionClosed").length, 1)
    assert.isAbove(heard.indexOf("SessionClosed"), heard.indexOf("TurnCompleted"))
  })

  it("has told a listener, however slow, how a call ended when its promise settles or its loop ends", async () => {
    const client = answering()
    let heard: Array<string> = []
    client.events.onAny(({ _tag }) => {
      const until = performance.now() + 11
      while (performance.now() < until);
      heard.push(_tag)
    })
    const after = async (what: Promise<unknown>, told: string) => {
      heard = []
      await what
      assert.include(heard, told)
    }
    const read = async (query: Query) => {
      for await (const _ of query);
    }
    const readAnswer = async (query: Query) => {
      for await (const { _tag } of query) if (_tag === "Result") break
    }
    const session = client.session()
    await after(client.querySimple("hi"), "QueryEnded")
    await after(read(client.query("hi")), "QueryEnded")
    await after(readAnswer(client.query("hi")), "QueryEnded")
    await after(client.batchQuery(["hi"]), "QueryEnded")
    await after(client.pool.submit("hi").then(client.pool.wait), "QueryEnded")
    await after(session.sendMessage("hi").result, "TurnCompleted")
    await after(read(session.sendMessage("hi")), "TurnCompleted")
    await after(readAnswer(session.sendMessage("hi")), "TurnCompleted")
    await after(session.close(), "SessionClosed")
    const last = client.session()
    await last.sendMessage("hi").result
    await after(client.close(), "SessionClosed")
  })

  it("is over where the client is closed before anything was asked, and after", async () => {
    const client = answering()
    client.events.on("QueryEnded", () => assert.fail("told"))
    const loop = client.events.stream()
    await client.close()
    assert.deepStrictEqual(await loop.next(), { done: true, value: undefined })
    assert.deepStrictEqual(await client.events.stream().next(), { done: true, value: undefined })
    client.events.on("QueryEnded", () => assert.fail("told"))()
  })
})

describe("an emitter", () => {
  it("asks for the bus once, and not before somebody listens", async () => {
    const { asked, emitter } = emitting()
    assert.strictEqual(asked(), 0)
    emitter.on("Queued", () => {})
    emitter.onAny(() => {})
    await turn()
    assert.strictEqual(asked(), 1)
  })

  it("wants of the bus only what its listeners want", async () => {
    const { bus, emitter } = emitting()
    const stop = emitter.on("Queued", () => {})
    await turn()
    assert.deepStrictEqual([bus.silent("Queued"), bus.silent("MessageReceived")], [false, true])
    stop()
    assert.isTrue(bus.silent())
  })

  it("calls listeners in the order of the events, and not in the moment in which they are told", async () => {
    const { emitter, tell } = emitting()
    const heard: Array<string> = []
    emitter.on("Queued", ({ waitedMs }) => heard.push(`one ${waitedMs}`))
    emitter.onAny((event) => heard.push(`any ${event._tag === "Queued" ? event.waitedMs : ""}`))
    await turn()
    tell(1, 2)
    assert.deepStrictEqual(heard, [])
    await turn()
    assert.deepStrictEqual(heard, ["one 1", "any 1", "one 2", "any 2"])
  })

  it("calls nobody who has left, also where the event was told before", async () => {
    const { emitter, tell } = emitting()
    const heard: Array<string> = []
    const off = () => heard.push("off")
    const stop = emitter.on("Queued", () => heard.push("stopped"))
    emitter.on("Queued", off)
    emitter.once("Queued", ({ waitedMs }) => heard.push(`once ${waitedMs}`))
    const stopAny = emitter.onAny(() => heard.push("any"))
    await turn()
    tell(1, 2)
    stop()
    stopAny()
    assert.isTrue(emitter.off("Queued", off))
    assert.isFalse(emitter.off("Queued", off))
    assert.isFalse(emitter.off("RateLimited", off))
    await turn()
    assert.deepStrictEqual(heard, ["once 1"])
  })

  it("calls the same listener once, however often it was given", async () => {
    const { emitter, tell } = emitting()
    let calls = 0
    const listener = () => calls++
    emitter.on("Queued", listener)
    const stop = emitter.on("Queued", listener)
    await turn()
    tell(1)
    await turn()
    assert.strictEqual(calls, 1)
    stop()
    tell(2)
    await turn()
    assert.strictEqual(calls, 1)
  })

  it("is not harmed by listeners that throw or reject, and warns once of each", async () => {
    const { emitter, tell } = emitting()
    const heard: Array<number> = []
    emitter.on("Queued", () => {
      throw new Error("thrown")
    })
    emitter.on("Queued", () => Promise.reject(new Error("rejected")))
    emitter.on("Queued", () => Promise.reject(Object.create(null)))
    emitter.on("Queued", ({ waitedMs }) => heard.push(waitedMs))
    await turn()
    const told = await warnings(async () => {
      tell(1, 2, 3)
      await turn()
    })
    assert.deepStrictEqual(heard, [1, 2, 3])
    assert.deepStrictEqual(told.map((message) => /failed: (.*?)\. /.exec(message)?.[1]).toSorted(), [
      "no error was given",
      "rejected",
      "thrown"
    ])
  })

  it("does not wait for a promise before it calls the next", async () => {
    const { emitter, tell } = emitting()
    const heard: Array<number> = []
    emitter.on("Queued", async ({ waitedMs }) => {
      heard.push(waitedMs)
      await new Promise(() => {})
    })
    await turn()
    tell(1, 2, 3)
    await turn()
    assert.deepStrictEqual(heard, [1, 2, 3])
  })

  it("lets others run while a slow listener has much to do, and forgets the oldest of too much", async () => {
    const { emitter, tell } = emitting()
    const heard: Array<number> = []
    emitter.on("Queued", ({ waitedMs }) => {
      heard.push(waitedMs)
      const until = performance.now() + (heard.length <= 3 ? 15 : 0)
      while (performance.now() < until);
    })
    await turn()
    const figures = Array.from({ length: 20_000 }, (_, n) => n)
    tell(...figures)
    await turn()
    assert.isBelow(heard.length, 5)
    while (heard.at(-1) !== 19_999) await turn()
    assert.deepStrictEqual(heard, figures.slice(-16_384))
  })

  it("says when it has caught up, also where it has forgotten what it was asked after", async () => {
    const { emitter, events, tell } = emitting()
    const heard: Array<number> = []
    emitter.on("Queued", ({ waitedMs }) => heard.push(waitedMs))
    await turn()
    assert.isUndefined(events.caughtUp())
    tell(1, 2)
    const caughtUp = events.caughtUp()
    tell(3)
    assert.deepStrictEqual(heard, [])
    await caughtUp
    assert.includeMembers(heard, [1, 2])
    tell(4)
    const forgotten = events.caughtUp()
    tell(...Array.from({ length: 16_400 }, (_, n) => n + 5))
    await forgotten
    await events.caughtUp()
    assert.notInclude(heard, 4)
    assert.isUndefined(events.caughtUp())
  })

  it("gives a loop the latest where it is slow, and says how many it has missed", async () => {
    const { bus, emitter, tell } = emitting()
    const loop = emitter.stream({ types: ["Queued"], capacity: 3 })
    await turn()
    tell(1, 2, 3, 4, 5)
    bus.tell({ _tag: "RateLimited", waitedMs: 9 })
    assert.strictEqual(loop.dropped, 2)
    const seen: Array<number> = []
    for await (const event of loop) {
      if (event._tag === "Queued") seen.push(event.waitedMs)
      if (seen.length === 3) break
    }
    assert.deepStrictEqual(seen, [3, 4, 5])
    assert.isTrue(bus.silent())
    assert.deepStrictEqual(await loop.next(), { done: true, value: undefined })
  })

  it("answers all who wait for the next event, in turn, and when it is over", async () => {
    const { bus, emitter, tell } = emitting()
    const loop = emitter.stream()
    await turn()
    const [one, two, three] = [loop.next(), loop.next(), loop.next()]
    tell(1, 2)
    const figure = ({ value }: IteratorResult<Events.Event>) => value?._tag === "Queued" ? value.waitedMs : value
    assert.deepStrictEqual([figure(await one), figure(await two)], [1, 2])
    tell(3)
    assert.deepStrictEqual(figure(await three), 3)
    tell(4)
    const last = loop.next()
    const end = loop.next()
    bus.close()
    assert.deepStrictEqual([figure(await last), (await end).done], [4, true])
    const thrown = emitter.stream()
    assert.isDefined(thrown.throw)
    let error: unknown
    await thrown.throw?.(new Error("out")).catch((e: unknown) => {
      error = e
    })
    assert.instanceOf(error, Error)
  })

  it("is over where there are no services to be had", async () => {
    for (const open of [async () => Exit.die("none"), () => Promise.reject(new Error("none"))]) {
      const loop = Emitter.make({ events: new EventFlow(open) }).stream()
      assert.isTrue((await loop.next()).done)
    }
  })

  it("has a constant for each event", () => {
    expectTypeOf<Events.EventType>().toEqualTypeOf<(typeof Emitter.EventType)[keyof typeof Emitter.EventType]>()
    assert.strictEqual(new Set(Object.values(Emitter.EventType)).size, Object.keys(Emitter.EventType).length)
    assert.strictEqual(Emitter.EventType.SESSION_CREATED, "SessionCreated")
  })

  it("of the top-level functions is one, and listening to it starts nothing", () => {
    assert.strictEqual(Emitter.getEmitter(), Emitter.getEmitter())
  })
})
