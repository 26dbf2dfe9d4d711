import { SessionRepository } from "@ccflow/core/SessionRepository"
import { UsageLedger } from "@ccflow/core/UsageLedger"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, Option } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { bundled } from "./bundled.js"
import { folder, inFile, rawFile, session } from "./support.js"

let script: Awaited<ReturnType<typeof bundled>>
beforeAll(async () => {
  script = await bundled("fixtures/worker.ts")
}, 60_000)
afterAll(() => script.remove())

interface Worker {
  readonly child: ChildProcess
  readonly lines: Array<unknown>
  readonly stderr: () => string
  /** When it has printed this many lines. */
  readonly printed: (count: number) => Promise<void>
  readonly ended: Promise<number | null>
}

/** A process that is gone when the scope is closed. */
const worker = (...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Worker => {
      const child = spawn(process.execPath, [script.path, ...args], { stdio: ["ignore", "pipe", "pipe"] })
      const lines: Array<unknown> = []
      let stderr = ""
      let heard = () => {}
      child.stderr.on("data", (chunk) => stderr += String(chunk))
      const reader = createInterface({ input: child.stdout })
      reader.on("line", (line) => {
        lines.push(JSON.parse(line))
        heard()
      })
      return {
        child,
        lines,
        stderr: () => stderr,
        printed: (count) =>
          new Promise((resolve, reject) => {
            heard = () => {
              if (lines.length >= count) resolve()
            }
            heard()
            child.once("exit", () => reject(new Error(`it ended after ${lines.length} lines: ${stderr}`)))
          }),
        ended: Promise.all([once(child, "exit"), once(reader, "close")]).then(() => child.exitCode)
      }
    }),
    ({ child, ended }) =>
      Effect.promise(() => {
        child.kill("SIGKILL")
        return ended
      })
  )

const succeeded = ({ ended, stderr }: Worker) =>
  Effect.map(Effect.promise(() => ended), (code) => assert.deepStrictEqual([code, stderr()], [0, ""]))

const repository = <A, E>(path: string, use: (repository: SessionRepository["Type"]) => Effect.Effect<A, E>) =>
  inFile(path, Effect.flatMap(SessionRepository, use))

const allTurns = (sessions: SessionRepository["Type"]) =>
  Effect.map(
    Effect.iterate({
      after: -1 as number | undefined,
      turns: [] as ReadonlyArray<{ turnId: string; status: string; index: number; seen: string; result?: string }>
    }, {
      while: ({ after }) => after !== undefined,
      body: ({ after, turns }) =>
        Effect.map(sessions.turns("shared", { after, limit: 1000 }), (page) => ({
          after: page.next,
          turns: [...turns, ...page.turns]
        }))
    }),
    ({ turns }) => turns
  )

describe("processes that share a file of sessions", () => {
  it.scopedLive(
    "lose no turn, no tag and no sum, and none of them is told that the file is busy",
    () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "sessions.db")
        yield* repository(path, (sessions) => sessions.save(session("shared")))
        const times = 150
        const workers = yield* Effect.forEach(["a", "b", "c"], (name) => worker("hammer", path, name, String(times)))
        yield* Effect.forEach(workers, succeeded)
        yield* repository(path, (sessions) =>
          Effect.gen(function*() {
            const stored = Option.getOrThrow(yield* sessions.get("shared"))
            const all = workers.length * times
            assert.deepStrictEqual(
              { turns: stored.turnCount, cost: stored.costUsd, tags: stored.tags.length, usage: stored.usage },
              {
                turns: all,
                cost: all,
                tags: all,
                usage: {
                  inputTokens: all,
                  outputTokens: 2 * all,
                  cacheReadInputTokens: 3 * all,
                  cacheCreationInputTokens: 4 * all
                }
              }
            )
            const turns = yield* allTurns(sessions)
            assert.deepStrictEqual(turns.map(({ index }) => index), Array.from({ length: all }, (_, n) => n))
            assert.isTrue(turns.every(({ status }) => status === "completed"))
          }))
      }),
    120_000
  )

  it.scopedLive("have a session one at a time", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* repository(path, () => Effect.void)
      yield* Effect.sync(() => writeFileSync(`${path}.count`, "0"))
      const workers = yield* Effect.forEach(["a", "b", "c"], (name) => worker("count", path, name, "40"))
      yield* Effect.forEach(workers, succeeded)
      assert.strictEqual(readFileSync(`${path}.count`, "utf8"), "120")
    }), 120_000)

  it.scopedLive(
    "are told who has a session and until when, and take it over when that one is dead",
    () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "sessions.db")
        const first = yield* worker("hold", path)
        yield* Effect.promise(() => first.printed(1))
        const holder = `${first.child.pid}@here`
        assert.deepInclude(first.lines[0], { _tag: "Right" })

        const second = yield* worker("hold", path)
        yield* Effect.promise(() => second.printed(1))
        assert.deepNestedInclude(second.lines[0], {
          _tag: "Left",
          "left._tag": "SessionBusyError",
          "left.holder": holder
        })
        assert.nestedProperty(second.lines[0], "left.until")

        first.child.kill("SIGKILL")
        yield* Effect.promise(() => first.ended)
        const third = yield* worker("hold", path)
        yield* Effect.promise(() => third.printed(1))
        assert.deepNestedInclude(third.lines[0], { _tag: "Right", "right.holder": `${third.child.pid}@here` })
      }),
    60_000
  )

  it.scopedLive(
    "can be killed at any moment: what was completed is there, the rest is known to be cut",
    () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "sessions.db")
        yield* repository(path, (sessions) => sessions.save(session("shared")))
        const moments = FastCheck.sample(
          FastCheck.tuple(FastCheck.integer({ min: 0, max: 30 }), FastCheck.double({ min: 0, max: 8, noNaN: true })),
          20
        )
        const completed: Array<unknown> = []
        let cuts = 0
        for (const [round, [lines, millis]] of moments.entries()) {
          const writer = yield* worker("turns", path, `r${round}`, "100000")
          yield* Effect.promise(() => writer.printed(lines))
          yield* Effect.sleep(millis)
          writer.child.kill("SIGKILL")
          yield* Effect.promise(() => writer.ended)
          completed.push(...writer.lines)
          yield* repository(path, (sessions) =>
            Effect.gen(function*() {
              const cut = yield* sessions.recover(() => false)
              cuts += cut.length
              assert.isAtMost(cut.length, 1)
              const turns = yield* allTurns(sessions)
              const done = turns.filter(({ status }) => status === "completed")
              // One more than was printed may have been completed, if it was killed in between.
              const known = new Set(done.map(({ turnId }) => turnId))
              assert.deepStrictEqual(completed.filter((turnId) => !known.has(String(turnId))), [])
              assert.isAtMost(done.length - completed.length, round + 1)
              assert.isTrue(done.every(({ result, turnId }) => result === `answer ${turnId.split("-")[1]}`))
              assert.isTrue(turns.every(({ status }) => status === "completed" || status === "cut"))
              const stored = Option.getOrThrow(yield* sessions.get("shared"))
              assert.deepStrictEqual([stored.turnCount, stored.costUsd], [done.length, done.length])
            }))
          const [check] = yield* Effect.scoped(Effect.flatMap(rawFile(path), (sql) => sql`PRAGMA integrity_check`))
          assert.deepStrictEqual(check, { integrity_check: "ok" })
        }
        yield* Effect.log(`${moments.length} kills, ${completed.length} completed turns, ${cuts} cut`)
      }),
    180_000
  )
})

describe("processes that share a file of batches", () => {
  it.scopedLive("begin each item once between them, also those that fail meanwhile", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const workers = yield* Effect.forEach(["a", "b", "c"], (name) => worker("claim", path, name, "200"))
      yield* Effect.forEach(workers, succeeded)
      const begun = workers.flatMap(({ lines }) => lines).map(Number).sort((one, other) => one - other)
      assert.deepStrictEqual(begun, Array.from({ length: 200 }, (_, n) => n))
    }), 120_000)
})

describe("processes that share a file of usage", () => {
  const booked = (path: string) =>
    Effect.flatMap(UsageLedger, (ledger) =>
      Effect.all({
        total: ledger.total(),
        all: ledger.total({ tag: "all" }),
        sessions: ledger.by("session"),
        entries: Effect.map(ledger.entries({ limit: 1000 }), ({ entries }) => entries)
      })).pipe(Effect.provide(Layer.provide(SqlUsageLedger.layer, SqliteFile.layer({ path }))))

  it.scopedLive(
    "lose no entry and book none twice, and none of them is told that the file is busy",
    () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "sessions.db")
        const times = 120
        const names = ["a", "b", "c"]
        const workers = yield* Effect.forEach(names, (name) => worker("book", path, name, String(times)))
        yield* Effect.forEach(workers, succeeded)
        const { all, sessions, total } = yield* booked(path)
        const expected = (names.length + 1) * times
        assert.deepStrictEqual([total.entries, total.costUsd, total.inputTokens, total.outputTokens], [
          expected,
          expected,
          expected,
          2 * expected
        ])
        assert.strictEqual(all.entries, expected)
        assert.strictEqual(sessions.reduce((sum, { entries }) => sum + entries, 0), expected)
      }),
    120_000
  )

  it.scopedLive("can be killed at any moment: what was booked is there, whole", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const moments = FastCheck.sample(
        FastCheck.tuple(FastCheck.integer({ min: 0, max: 30 }), FastCheck.double({ min: 0, max: 8, noNaN: true })),
        10
      )
      const printed: Array<unknown> = []
      for (const [round, [lines, millis]] of moments.entries()) {
        const writer = yield* worker("book", path, `r${round}`, "40")
        yield* Effect.promise(() => writer.printed(lines))
        yield* Effect.sleep(millis)
        writer.child.kill("SIGKILL")
        yield* Effect.promise(() => writer.ended)
        printed.push(...writer.lines)
      }
      const { all, entries, total } = yield* booked(path)
      const known = new Set(entries.map(({ entryId }) => entryId))
      assert.isAtMost(total.entries, 1000)
      assert.deepStrictEqual(printed.filter((id) => !known.has(String(id))), [])
      // An entry never comes without its tags.
      assert.strictEqual(all.entries, total.entries)
      assert.isTrue(entries.every(({ tags }) => tags.length === 2))
    }), 180_000)
})
