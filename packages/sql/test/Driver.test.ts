import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { bundled } from "./bundled.js"

const from = createRequire(import.meta.url)
const installed = (name: string) =>
  dirname(createRequire(from.resolve("@effect/sql-sqlite-node/SqliteClient")).resolve(`${name}/package.json`))

const openedWith = async (driver: "beside" | "missing", arrange: (folder: string) => void = () => {}) => {
  const script = await bundled("fixtures/open.ts", driver)
  try {
    arrange(script.folder)
    const path = join(script.folder, "data", "sessions.db")
    const { stderr, stdout } = spawnSync(process.execPath, [script.path, path], { encoding: "utf8" })
    assert.strictEqual(stderr, "")
    return JSON.parse(stdout)
  } finally {
    script.remove()
  }
}

describe("without SQLite's driver", () => {
  it("a store says what to install", async () => {
    const error = await openedWith("missing")
    assert.deepInclude(error, { _tag: "SessionStoreError", reason: "Unavailable", operation: "open" })
    assert.include(error.hint, "npm install")
    assert.include(error.detail, "better-sqlite3")
  }, 30_000)

  it("or with one that was never compiled, it says how to get that done", async () => {
    const error = await openedWith("beside", (folder) => {
      for (const name of ["better-sqlite3", "bindings", "file-uri-to-path"]) {
        const target = join(folder, "node_modules", name)
        mkdirSync(target, { recursive: true })
        cpSync(installed(name), target, {
          recursive: true,
          filter: (source) => !/better-sqlite3\/(build|deps|src|prebuilds)$/.test(source.replaceAll("\\", "/"))
        })
      }
    })
    assert.deepInclude(error, { _tag: "SessionStoreError", reason: "Unavailable", operation: "open" })
    assert.include(error.hint, "npm rebuild better-sqlite3")
    assert.notInclude(error.detail, "\n")
  }, 30_000)
})
