import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Line, Plan } from "./fixtures/secrets/host.js"
import { said, secrets } from "./fixtures/secrets/planted.js"
import { fakeClaude } from "./support/bundle.js"
import { hosts } from "./support/hosts.js"
import { startOtlpCollector } from "./support/OtlpCollector.js"

let all: Awaited<ReturnType<typeof hosts<Plan, Line>>>
let folder: string
beforeAll(async () => {
  all = await hosts<Plan, Line>("secrets/host.ts")
  folder = await mkdtemp(join(tmpdir(), "ccflow-secrets-"))
}, 60_000)
afterAll(async () => {
  await all[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

/** As they are, and as JSON within JSON, addresses and base64 have them. */
const forms = (text: string): ReadonlyArray<string> => [
  text,
  encodeURIComponent(text),
  Buffer.from(text).toString("base64").replace(/=+$/, "")
]

const assertClean = (where: string, what: string, planted: Readonly<Record<string, string>>) => {
  for (const [name, value] of Object.entries(planted)) {
    for (const form of forms(value)) {
      const at = what.indexOf(form)
      assert.strictEqual(at, -1, `${name} is in ${where}: …${what.slice(Math.max(0, at - 200), at + 80)}`)
    }
  }
}

const formats: ReadonlyArray<Plan["format"]> = ["logfmt", "json"]

describe("what a program writes while it uses secrets", () => {
  it.for(formats)("has none of them, nor what was said, with lines as %s", { timeout: 90_000 }, async (format) => {
    await using collector = await startOtlpCollector()
    const storagePath = join(folder, `${format}.db`)
    const argv = join(folder, `${format}-argv.json`)
    const host = all.start({ cliPath: fakeClaude, collector: collector.url, format, storagePath, argv })
    await host.said("that it is done", ({ done }) => done === true)
    await host.ended

    const lines = host.stderr()
    assert.include(lines, "query ended")
    assert.include(lines, "trying again")
    assertClean("the log", lines, { ...secrets, ...said })

    const names = host.lines.flatMap(({ error }) => error ?? [])
    assert.includeMembers(names, ["AuthenticationError", "OverloadedError", "CliExitError"])
    assertClean("stdout", JSON.stringify(host.lines), { ...secrets, ...said })
    assert.isTrue(host.lines.some(({ metrics }) => metrics?.includes("# TYPE ccflow_") === true))

    const bodies = collector.requests.map(({ body }) => body).join("\n")
    assert.isNotEmpty(collector.spans())
    assert.isNotEmpty(collector.logs())
    assert.isNotEmpty(collector.metrics())
    assertClean("what was exported", bodies, { ...secrets, ...said })
    for (const { headers } of collector.requests) assert.strictEqual(headers.authorization, secrets.collector)

    const started = await readFile(argv, "utf8")
    assert.include(started, "--")
    assertClean("the process list", started, { ...secrets, ...said })

    // What was said is what the records are for.
    const files = (await readdir(folder)).filter((name) => name.startsWith(`${format}.db`))
    assert.isNotEmpty(files)
    for (const name of files) {
      assertClean(name, await readFile(join(folder, name), "latin1"), secrets)
    }
  })
})
