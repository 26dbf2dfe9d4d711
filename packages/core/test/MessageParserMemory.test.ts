import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bundle } from "../../../test/support/bundle.js"
import * as f from "./frames.js"

const script = join(await bundle("parser", { parser: "packages/core/test/fixtures/parser.ts" }), "parser.mjs")
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What the parser says in a process of its own, which is given `input` on stdin. */
const inChild = (flags: ReadonlyArray<string>, args: ReadonlyArray<string>, input = "") =>
  new Promise<unknown>((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [...flags, script, ...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout) => error === null ? resolve(JSON.parse(stdout)) : reject(error)
    )
    child.stdin?.end(input)
  })

const LongLine = Schema.Struct({ length: Schema.Number, times: Schema.Number })
const LongSession = Schema.Struct({ grown: Schema.Number })
const Messages = Schema.Array(Schema.Unknown)

describe("the parser's memory", () => {
  it("of one line of 32 MiB is at most three times the line, by the process's peak", async () => {
    const size = 32 * 1024 * 1024
    const line = JSON.stringify(f.gives("tu1", "CONTENT")).replace("CONTENT", "a".repeat(size))
    const child = await inChild([], ["long-line", "32"], `${line}\n`)
    const { length, times } = Schema.decodeUnknownSync(LongLine)(child)
    assert.strictEqual(length, size)
    assert.isAbove(times, 1.5, "the measure sees the line")
    assert.isAtMost(times, 3)
  }, 60_000)

  it("does not grow with the turns of a session, whatever is left open in them", async () => {
    const { grown } = Schema.decodeUnknownSync(LongSession)(await inChild(["--expose-gc"], ["long-session"]))
    assert.isBelow(grown, 500_000)
  }, 60_000)
})

describe("where code must not be made from strings", () => {
  it("the parser gives the same messages", async () => {
    const recording = here("../../../test/recordings/subagent-2.1.330/stdout.ndjson")
    const [allowed, forbidden] = await Promise.all([
      inChild([], ["messages", recording]),
      inChild(["--disallow-code-generation-from-strings"], ["messages", recording])
    ])
    assert.isAbove(Schema.decodeUnknownSync(Messages)(allowed).length, 5)
    assert.deepStrictEqual(forbidden, allowed)
  }, 60_000)
})
