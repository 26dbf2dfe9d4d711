import { assert, describe, it } from "vitest"
import { following, isAbortError, onAbort } from "../src/internal/abort.js"
import { watched } from "./signals.js"

const thrown = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => assert.fail("it did not throw"), (error: unknown) => error)

describe("a signal that many calls share", () => {
  it("has one listener however many wait for it, and none when nobody does", () => {
    const { listeners, signal } = watched()
    const forget = Array.from({ length: 100 }, () => onAbort(signal, () => {}))
    assert.strictEqual(listeners(), 1)
    for (const each of forget) each()
    for (const each of forget) each()
    assert.strictEqual(listeners(), 0)
    onAbort(signal, () => {})
    assert.strictEqual(listeners(), 1)
  })

  it("tells each who still waits, once, in the order of coming", () => {
    const { controller, signal } = watched()
    const told: Array<string> = []
    onAbort(signal, () => told.push("a"))
    const forget = onAbort(signal, () => told.push("b"))
    onAbort(signal, () => {
      told.push("c")
      late()
    })
    const late = onAbort(signal, () => told.push("d"))
    forget()
    controller.abort()
    controller.abort()
    assert.deepStrictEqual(told, ["a", "c", "d"])
  })

  it("is followed by a call's own, with its reason; what it was aborted before is not begun", async () => {
    const { controller, listeners, signal } = watched()
    const reason = (fails: boolean) =>
      following({ signal }, async ({ signal: own }) => {
        await new Promise((go) => own?.addEventListener("abort", go))
        if (fails) throw new Error("interrupted")
        return own?.reason
      })
    const [asked, failed] = [reason(false), thrown(reason(true))]
    controller.abort("enough")
    assert.strictEqual(await asked, "enough")
    for (const error of [await failed, await thrown(reason(false))]) {
      assert.isTrue(isAbortError(error))
      assert.strictEqual(String(error), "AbortError: The query was aborted: enough")
      assert.strictEqual(error instanceof Error && error.cause, "enough")
    }
    assert.strictEqual(listeners(), 0)
    assert.isFalse(await following({}, ({ signal }) => Promise.resolve(signal.aborted)))
  })
})
