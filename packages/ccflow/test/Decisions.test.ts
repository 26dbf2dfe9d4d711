import * as FakeCli from "@ccflow/testing/FakeCli"
import {
  allow,
  allowed,
  type DecisionOptions,
  deny,
  HookOutput,
  InvalidOptionsError,
  type Message,
  pass,
  tool,
  toolSet
} from "ccflow"
import { fakeClient } from "ccflow/testing"
import { Schema } from "effect"
import { setTimeout as sleep } from "node:timers/promises"
import { assert, describe, expectTypeOf, it } from "vitest"

const bash = { command: "touch x" }
const asking = [FakeCli.init(), FakeCli.askPermission("Bash", bash), FakeCli.text("done"), FakeCli.result()]

const ran = (input: unknown) => `allowed: ${JSON.stringify(input)}`

/** What became of the tools of one query. */
const toolResults = async (options: DecisionOptions, turn: FakeCli.Turn = asking, client = fakeClient([turn])) => {
  const results: Array<Extract<Message, { readonly _tag: "ToolResult" }>> = []
  for await (const message of client.query("go", options)) if (message._tag === "ToolResult") results.push(message)
  return results.map(({ content, isError }) => [isError, content] as const)
}

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

describe("a permission handler", () => {
  it("allows, changes the input and denies, at once or later", async () => {
    assert.deepStrictEqual(await toolResults({ permissions: () => allow() }), [[false, ran(bash)]])
    const other = { command: "touch y" }
    assert.deepStrictEqual(
      await toolResults({ permissions: async () => (await sleep(1), allow({ input: other })) }),
      [[false, ran(other)]]
    )
    assert.deepStrictEqual(
      await toolResults({ permissions: ({ input, tool }) => deny(`no ${tool} ${String(input["command"])}`) }),
      [[true, "no Bash touch x"]]
    )
    assert.isTrue((await toolResults({ permissions: () => pass }))[0]?.[0])
  })

  it("that throws or rejects denies, and the model is told why", async () => {
    const throws = () => {
      throw new Error("out of order")
    }
    for (const permissions of [throws, async () => throws()]) {
      const [[isError, content] = []] = await toolResults({ permissions })
      assert.isTrue(isError)
      assert.include(String(content), "out of order")
    }
  })

  it("is told by its signal when nobody waits for it any more", async () => {
    let tell = () => {}
    const aborted = new Promise<void>((resolve) => {
      tell = resolve
    })
    const client = fakeClient([asking])
    const query = client.query("go", {
      permissions: (_, { signal }) => {
        signal.addEventListener("abort", () => tell())
        setTimeout(() => void query.close(), 5)
        return new Promise(() => {})
      }
    })
    for await (const _ of query) void _
    await aborted
  })

  it("of a call stands in for that of its client", async () => {
    const client = fakeClient([asking], { permissions: () => deny("the client's") })
    assert.deepStrictEqual(await toolResults({}, asking, client), [[true, "the client's"]])
    assert.deepStrictEqual(await toolResults({ permissions: () => allow() }, asking, client), [
      [false, ran(bash)]
    ])
  })
})

describe("hooks", () => {
  const input = { tool_name: "Bash", tool_input: bash, tool_use_id: "t1" }
  const using = [
    FakeCli.init(),
    FakeCli.toolUse("t1", "Bash", bash),
    FakeCli.askHook("PreToolUse", input),
    FakeCli.toolResult("t1", "made"),
    FakeCli.text("done"),
    FakeCli.result()
  ]

  it("see what happens and let it happen, with or without an answer", async () => {
    const seen: Array<unknown> = []
    for (const answer of [undefined, HookOutput.proceed]) {
      const hooks = {
        PreToolUse: [{
          handler: ({ toolInput }: { readonly toolInput: unknown }) => {
            seen.push(toolInput)
            return answer
          }
        }]
      }
      assert.deepStrictEqual(await toolResults({ hooks }, using), [[false, "made"]])
    }
    assert.deepStrictEqual(seen, [bash, bash])
  })

  it("keep a tool from running: by an answer, and by failing, unless they say otherwise", async () => {
    const denied = await toolResults(
      { hooks: { PreToolUse: [{ matcher: "Bash", handler: async () => HookOutput.deny("not today") }] } },
      using
    )
    assert.isTrue(denied[0]?.[0])
    assert.include(denied[0]?.[1], "not today")
    const handler = () => {
      throw new Error("broken")
    }
    assert.isTrue((await toolResults({ hooks: { PreToolUse: [{ handler }] } }, using))[0]?.[0])
    assert.deepStrictEqual(
      await toolResults({ hooks: { PreToolUse: [{ handler, onFailure: "continue" }] } }, using),
      [[false, "made"]]
    )
  })

  it("of a call run beside those of its client", async () => {
    const ran: Array<string> = []
    const of = (name: string) => ({ hooks: { PreToolUse: [{ handler: () => void ran.push(name) }] } })
    await toolResults(of("call"), using, fakeClient([using], of("client")))
    assert.deepStrictEqual(ran.sort(), ["call", "client"])
  })

  it("take what their event can answer, and no more", () => {
    type Options = Required<DecisionOptions>["hooks"]
    expectTypeOf({ PreToolUse: [{ handler: () => HookOutput.deny("no") }] }).toExtend<Options>()
    expectTypeOf({ Stop: [{ handler: () => HookOutput.deny("no") }] }).not.toExtend<Options>()
    expectTypeOf({ Stop: [{ handler: () => HookOutput.block("go on") }] }).toExtend<Options>()
  })
})

describe("tools", () => {
  const add = tool({
    name: "add",
    description: "Adds two numbers",
    input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
    handler: ({ a, b }) => a + b
  })
  const call = (name: string, args: unknown) => [
    FakeCli.init(),
    FakeCli.callTool("calc", name, args),
    FakeCli.text("done"),
    FakeCli.result()
  ]

  it("are served to the model: values, promises of them, and readable errors for bad arguments", async () => {
    const later = tool({
      name: "later",
      description: "Waits",
      input: Schema.Struct({}),
      handler: async (_, { progress }) => {
        progress(1, 2, "half")
        await sleep(1)
        return "waited"
      }
    })
    const calc = toolSet("calc", [add, later])
    assert.deepStrictEqual(allowed(calc), ["mcp__calc__add", "mcp__calc__later"])
    const toolSets = [calc]
    assert.deepStrictEqual(await toolResults({ toolSets }, call("add", { a: 2, b: 3 })), [[false, "5"]])
    assert.deepStrictEqual(await toolResults({ toolSets }, call("later", {})), [[false, "waited"]])
    const [[isError, content] = []] = await toolResults({ toolSets }, call("add", { a: "two", b: 3 }))
    assert.isTrue(isError)
    assert.include(String(content), "Invalid arguments: a:")
  })

  it("tell the model what they throw", async () => {
    const broken = tool({
      name: "broken",
      description: "Fails",
      input: Schema.Struct({}),
      handler: async () => {
        throw new Error("no such file")
      }
    })
    const [[isError, content] = []] = await toolResults({ toolSets: [toolSet("calc", [broken])] }, call("broken", {}))
    assert.isTrue(isError)
    assert.include(String(content), "no such file")
  })

  it("are told by their signal when the turn is over, and the session goes on", async () => {
    let tell = () => {}
    const aborted = new Promise<void>((resolve) => {
      tell = resolve
    })
    const slow = tool({
      name: "slow",
      description: "Never ends",
      input: Schema.Struct({}),
      handler: (_, { signal }) => {
        signal.addEventListener("abort", () => tell())
        void session.interrupt()
        return new Promise(() => {})
      }
    })
    const client = fakeClient(() => ({ turns: [call("slow", {}), FakeCli.answer("fine")] }), {
      toolSets: [toolSet("calc", [slow])]
    })
    const session = client.session()
    const first = session.sendMessage("one").result
    await aborted
    assert.isTrue((await first).interrupted)
    assert.strictEqual((await session.sendMessage("two").result).result, "fine")
    await client.close()
  })
})

describe("what cannot be right", () => {
  it("is refused, and named, in a call, a session and a client", async () => {
    const bad = [
      ["permissions", { permissions: "yes" }],
      ["hooks", { hooks: null }],
      ["toolSets", { toolSets: null }],
      ["toolSets", { toolSets: toolSet("calc", []) }],
      ["toolSets", { toolSets: [null] }],
      ["hooks.PreToolUse", { hooks: { PreToolUse: [{}] } }],
      ["hooks.PreToolUse", { hooks: { PreToolUse: () => undefined } }],
      ["hooks.BeforeTool", { hooks: { BeforeTool: [] } }]
    ] as const
    for (const [field, options] of bad) {
      const given = options as unknown as DecisionOptions
      const plain = fakeClient([asking])
      const ways = [
        plain.querySimple("x", given),
        plain.session(given).sendMessage("x").result,
        fakeClient([asking], given).querySimple("x")
      ]
      for (const way of ways) {
        const error = await rejection(way)
        assert.instanceOf(error, InvalidOptionsError)
        assert.strictEqual(error.field, field)
      }
    }
  })
})
