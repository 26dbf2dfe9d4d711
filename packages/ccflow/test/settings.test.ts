import * as FakeCli from "@ccflow/testing/FakeCli"
import { createClient, type EncoderOptions, InvalidOptionsError, type LogLevel } from "ccflow"
import { fakeClient } from "ccflow/testing"
import { afterEach, assert, describe, it, vi } from "vitest"

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

const rejection = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not reject"), (error: unknown) => error)

const echo = { respond: (prompt: string) => FakeCli.answer(prompt) }

/** Shorter as TOON. */
const context = {
  people: Array.from({ length: 20 }, (_, n) => ({ id: n, name: `person ${n}`, active: n % 2 === 0 }))
}

describe("contextEncoder", () => {
  const asked = async (contextEncoder?: EncoderOptions) => {
    await using client = fakeClient(() => echo, { contextEncoder })
    const query = (await client.query("hi", { context }).result).context
    const turn = await client.session().sendMessage("hi", { context }).result
    assert.deepStrictEqual(turn.context, query)
    return { format: query?.format, jsonTokens: query?.jsonTokens, text: turn.result }
  }

  it("says how data is written: by default as TOON where that is shorter", async () => {
    const byDefault = await asked()
    assert.strictEqual(byDefault.format, "toon")
    assert.include(byDefault.text, "1,person 1,false")
    assert.include((await asked({ delimiter: "|" })).text, "1|person 1|false")
    const json = await asked({ format: "json" })
    assert.strictEqual(json.format, "json")
    assert.include(json.text, JSON.stringify(context))
    assert.strictEqual((await asked({ format: "json", countTokens: () => 7 })).jsonTokens, 7)
  })

  it("is checked when a client is first used", async () => {
    const wrong: ReadonlyArray<readonly [string, object]> = [
      ["contextEncoder.format", { format: "off" }],
      ["contextEncoder.format", { format: "toString" }],
      ["contextEncoder.delimiter", { delimiter: ";" }],
      ["contextEncoder.countTokens", { countTokens: 4 }]
    ]
    for (const [field, contextEncoder] of wrong) {
      await using client = fakeClient(echo, { contextEncoder })
      const error = await rejection(client.querySimple("hi"))
      assert.instanceOf(error, InvalidOptionsError)
      assert.strictEqual(error.field, field)
    }
  })
})

describe("logLevel", () => {
  const linesOf = (run: () => Promise<unknown>) => {
    const lines: Array<string> = []
    vi.spyOn(console, "error").mockImplementation((line) => lines.push(String(line)))
    return run().then(() => lines)
  }
  const asking = (logLevel?: LogLevel) =>
    linesOf(async () => {
      await using client = fakeClient(echo, { logLevel })
      await client.querySimple("hi")
    })

  it("says what is told on stderr: by default what a call waits for, and no more", async () => {
    assert.deepStrictEqual(await asking(), [])
    assert.isTrue((await asking("info")).some((line) => line.includes("query ended")))
    assert.isAbove((await asking("debug")).length, (await asking("info")).length)
  })

  it("wins over CCFLOW_LOG_LEVEL, which is not read by a client on a fake CLI", async () => {
    const failing = (logLevel?: LogLevel) =>
      linesOf(async () => {
        await using client = createClient({ cliPath: "/nowhere/claude", logLevel })
        await rejection(client.querySimple("hi"))
      })
    vi.stubEnv("CCFLOW_LOG_LEVEL", "none")
    assert.deepStrictEqual(await failing(), [])
    assert.isTrue((await failing("info")).some((line) => line.includes("query ended")))
    vi.stubEnv("CCFLOW_LOG_LEVEL", "info")
    assert.isTrue((await failing()).some((line) => line.includes("query ended")))
    assert.deepStrictEqual(await failing("none"), [])
    assert.deepStrictEqual(await asking(), [])
  })

  it("is checked when a client is first used", async () => {
    for (const logLevel of ["loud", "INFO", ""]) {
      await using client = createClient({ cliPath: "/nowhere/claude", logLevel: logLevel as LogLevel })
      const error = await rejection(client.querySimple("hi"))
      assert.instanceOf(error, InvalidOptionsError)
      assert.strictEqual(error.field, "logLevel")
    }
  })
})
