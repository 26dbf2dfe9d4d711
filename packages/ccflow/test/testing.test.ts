import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { deny } from "../src/index.js"
import { FakeCli, fakeClient } from "../src/testing.js"

describe("a fake client", () => {
  it("tells what it sent, at any moment and after its end", async () => {
    const client = fakeClient([[
      FakeCli.init(),
      FakeCli.askPermission("Bash", { command: "rm a" }),
      FakeCli.result({ result: "no" })
    ]])
    assert.deepStrictEqual(client.fake.started, [])
    assert.throws(() => client.fake.only, /^0 fake CLIs were started, and not one$/)
    const permissions = () => deny("Nothing is deleted.")
    assert.strictEqual(await client.querySimple("clean up", { model: "opus", permissions }), "no")
    await client.close()
    const { flags, replies, running } = client.fake.only
    assert.strictEqual(flags["model"], "opus")
    assert.deepStrictEqual(replies.map(({ answer, name }) => ({ answer, name })), [
      { name: "Bash", answer: { behavior: "deny", message: "Nothing is deleted." } }
    ])
    assert.isFalse(running)
    assert.deepStrictEqual(client.fake.prompts, ["clean up"])
  })

  it("fails twice and then answers, in one line", async () => {
    await using client = fakeClient(FakeCli.sequence(FakeCli.overloaded, FakeCli.loggedOut, FakeCli.answer("4")))
    const ask = () => client.querySimple("2+2?").catch((error: { readonly _tag: string }) => error._tag)
    assert.deepStrictEqual([await ask(), await ask(), await ask()], ["OverloadedError", "AuthenticationError", "4"])
  })

  it("shares a ledger with another one, and what both used is booked", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ccflow-test-"))
    const storagePath = join(folder, "records.db")
    try {
      for (const total of [1, 2]) {
        await using client = fakeClient([FakeCli.answer("4")], { storagePath })
        await client.querySimple("2+2?")
        assert.strictEqual((await client.usage()).entries, total)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  }, 30_000)
})
