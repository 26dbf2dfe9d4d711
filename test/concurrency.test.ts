import * as Claude from "@ccflow/core/Claude"
import * as Concurrency from "@ccflow/core/Concurrency"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { Effect, Stream } from "effect"
import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "vitest"

const fakeClaude = fileURLToPath(new URL("../packages/testing/bin/fake-claude.mjs", import.meta.url))

it("twelve queries on at most three processes: never more are alive, and all are answered", async (ctx) => {
  if (!existsSync("/proc/self")) ctx.skip("needs /proc")
  const folder = await mkdtemp(join(tmpdir(), "ccflow-concurrency-"))
  /** Each process signs before anything else, so that those alive are those of them which /proc has. */
  const alive = Effect.promise(async () => (await readdir(folder)).filter((pid) => existsSync(`/proc/${pid}`)).length)
  const script = {
    start: [{ writeFile: { path: join(folder, "$PID"), content: "" } }],
    turns: [[{ init: {} }, { delay: 100 }, { text: "answer" }, { result: { result: "answer to $PROMPT" } }]]
  }
  const seen: Array<number> = []
  const states: Array<Concurrency.State> = []
  try {
    const answers = await Effect.gen(function*() {
      const { changes, state } = yield* Concurrency.Concurrency
      yield* Effect.forkScoped(Stream.runForEach(changes, (now) => Effect.sync(() => states.push(now))))
      const sample = Effect.zipRight(Effect.sleep(5), Effect.map(alive, (count) => seen.push(count)))
      yield* Effect.forkScoped(Effect.forever(sample))
      const all = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, index) => `${index}`),
        (prompt) => Claude.text(prompt),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(yield* state, { maxConcurrent: 3, active: 0, waiting: 0 })
      return all
    }).pipe(
      Effect.scoped,
      Effect.provide(NodeClaude.layerWith({
        cliPath: fakeClaude,
        env: { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) },
        maxConcurrent: 3
      })),
      Effect.runPromise
    )
    assert.deepStrictEqual(answers, Array.from({ length: 12 }, (_, index) => `answer to ${index}`))
    assert.strictEqual((await readdir(folder)).length, 12)
    assert.isAtMost(Math.max(...seen), 3)
    assert.isAbove(Math.max(...seen), 0)
    assert.strictEqual(Math.max(...states.map(({ active }) => active)), 3)
    assert.strictEqual(await Effect.runPromise(alive), 0)
  } finally {
    await rm(folder, { recursive: true })
  }
}, 30_000)
