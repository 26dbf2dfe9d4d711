import { createClient } from "ccflow"
import { fakeClient } from "ccflow/testing"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"

// Real processes, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 })

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ccflow-health-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const script = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\necho "$*" >> ${path}.log\n${text}\n`, { mode: 0o755 })
  return path
}
const asked = (path: string) => readFileSync(`${path}.log`, "utf8").trim().split("\n")

describe("client.health()", () => {
  it("tells of the client's CLI, in the client's environment, and asks it once", async () => {
    const cliPath = script(
      "claude",
      `if [ "$1" = --version ]; then echo "2.1.330 (Claude Code)"; else printf '{"loggedIn":true,"authMethod":"%s"}' "$METHOD"; fi`
    )
    const client = createClient({ cliPath, env: { METHOD: "claude.ai" } })
    const statuses = await Promise.all([client.health(), client.health(), client.health()])
    assert.lengthOf(new Set(statuses), 1)
    assert.deepInclude(statuses[0], { healthy: true, cli: cliPath, cliVersion: "2.1.330", authenticated: true })
    assert.strictEqual(statuses[0]?.account?.payer, "subscription")
    assert.deepStrictEqual(asked(cliPath), ["--version", "auth status --json"])
    await client.health({ force: true })
    assert.lengthOf(asked(cliPath), 4)
    await client.close()
  })

  it("does not reject when the CLI is missing", async () => {
    const client = createClient({ cliPath: join(folder, "nothing") })
    const status = await client.health()
    assert.deepInclude(status, { healthy: false, cliFound: false })
    assert.include(status.problems[0]?.fix, "npm install")
    await client.close()
  })

  it("is given up with its signal, and leaves no process", async () => {
    const cliPath = script("silent", `echo $$ > ${join(folder, "pid")}\nexec sleep 60`)
    const client = createClient({ cliPath })
    const controller = new AbortController()
    const checking = client.health({ signal: controller.signal })
    while (!(await import("node:fs")).existsSync(join(folder, "pid"))) await new Promise((wake) => setTimeout(wake, 10))
    controller.abort()
    await checking.then(
      () => assert.fail("it did not reject"),
      (error: Error) => assert.strictEqual(error.name, "AbortError")
    )
    await client.close()
    const pid = Number(readFileSync(join(folder, "pid"), "utf8"))
    assert.throws(() => process.kill(pid, 0))
  })

  it("is well for a client without a CLI of its own", async () => {
    const client = fakeClient([])
    assert.deepInclude(await client.health(), { healthy: true, problems: [] })
    await client.close()
  })
})
