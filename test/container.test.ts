import { execFile } from "node:child_process"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "vitest"

const run = promisify(execFile)
const root = fileURLToPath(new URL("..", import.meta.url))
const bin = (name: string) => join(root, "node_modules", ".bin", name)

describe("the Dockerfile", () => {
  it("has nothing that either linter finds", async () => {
    const lint = await run(bin("dockerfilelint"), ["--output", "json", "Dockerfile"], { cwd: root })
    const { totalIssues } = JSON.parse(lint.stdout) as { readonly totalIssues: number }
    assert.strictEqual(totalIssues, 0, lint.stdout)
    const utils = await run(bin("dockerfile-utils"), ["lint", "Dockerfile"], { cwd: root })
    assert.strictEqual(utils.stdout.trim() + utils.stderr.replaceAll(/^npm warn.*$/gm, "").trim(), "")
  })

  it("ends as a user who is not root, behind an init, with a look at its health", async () => {
    const stage = (await readFile(join(root, "Dockerfile"), "utf8")).split(/^FROM /m).at(-1)!
    assert.match(stage, /^USER ccflow$/m)
    assert.match(stage, /^ENTRYPOINT \["\/usr\/bin\/tini", "--", "ccflow"\]$/m)
    assert.match(stage, /^HEALTHCHECK .*\/health/m)
    assert.notMatch(stage, /^USER root$/m)
  })

  it("installs every package of the workspace", async () => {
    const dockerfile = await readFile(join(root, "Dockerfile"), "utf8")
    const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, unknown>>
    }
    const ours = Object.keys(packages).filter((path) => /^packages\/\w+$/.test(path))
    assert.isAtLeast(ours.length, 6)
    for (const path of ours) assert.include(dockerfile, `COPY ${path}/package.json ${path}/`)
  })
})

describe("the dashboard", () => {
  it("asks for metrics that there are", async () => {
    const dashboard = await readFile(join(root, "examples/monitoring/grafana/dashboards/ccflow.json"), "utf8")
    const metrics = await readFile(join(root, "packages/core/src/Metrics.ts"), "utf8")
    const known = new Set([...metrics.matchAll(/"(ccflow_\w+)"/g)].map(([, name]) => name!))
    assert.isAtLeast(known.size, 20)
    const asked = [...dashboard.matchAll(/\bccflow_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ""))
    assert.isAtLeast(asked.length, 16)
    assert.deepStrictEqual(asked.filter((name) => !known.has(name)), [])
  })
})
