import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as PgSessionRepository from "@ccflow/sql/PgSessionRepository"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Statement from "@effect/sql/Statement"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { join } from "node:path"
import { because, folder, inFile, noPostgres, pgUrl, rawFile, rawPg, session } from "./support.js"

const over = (sql: SqlClient.SqlClient) =>
  Layer.provide(SqlSessionRepository.layer, Layer.succeed(SqlClient.SqlClient, sql))

/** A transaction of somebody else, for as long as the scope is open. */
const locked = (path: string) =>
  Effect.gen(function*() {
    const sql = yield* rawFile(path)
    yield* Effect.acquireRelease(sql`BEGIN IMMEDIATE`, () => Effect.orDie(sql`ROLLBACK`))
  })

/** A clock on which waiting takes no time. */
const hurried = (): Clock.Clock => {
  let now = 0
  return {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(Math.round(now * 1e6)),
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(Math.round(now * 1e6))),
    sleep: (duration) => Effect.zipRight(Effect.sync(() => now += Duration.toMillis(duration)), Effect.yieldNow())
  }
}

const operations = (repository: SessionRepository["Type"]) => [
  repository.save(session("new")),
  repository.addTags("s", ["a"]),
  repository.beginTurn({ turnId: "t", sessionId: "s", prompt: "hi", holder: "me" }),
  repository.progress("t", "seen"),
  repository.acquireLease("s", "me", "1 minute"),
  repository.delete("s")
]

describe("a file that somebody else is writing to", () => {
  it.scopedLive("is waited for without holding the event loop, and can be read meanwhile", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(
        path,
        Effect.gen(function*() {
          const repository = yield* SessionRepository
          yield* repository.save(session("s"))
          let longest = 0
          let last = performance.now()
          const ticker = setInterval(() => {
            longest = Math.max(longest, performance.now() - last)
            last = performance.now()
          }, 1)
          yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(ticker)))
          const [writing] = yield* Effect.scoped(Effect.gen(function*() {
            yield* locked(path)
            const writing = yield* Effect.fork(Effect.timed(Effect.all(operations(repository))))
            yield* Effect.sleep("400 millis")
            assert.isTrue(Option.isNone(yield* Fiber.poll(writing)))
            assert.isTrue(Option.isSome(yield* repository.get("s")))
            return [writing]
          }))
          yield* Fiber.join(writing)
          assert.isTrue(Option.isNone(yield* repository.get("s")))
          // SQLite's own wait would have taken all of the 400 ms.
          assert.isBelow(longest, 200)
        })
      )
    }))

  it.scopedLive("for too long is an error that says so", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(
        path,
        Effect.gen(function*() {
          const repository = yield* SessionRepository
          yield* repository.save(session("s"))
          yield* locked(path)
          const clock = hurried()
          const error = yield* Effect.withClock(Effect.flip(repository.save(session("new"))), clock)
          assert.deepStrictEqual([error.operation, error.reason], ["save", "Unavailable"])
          assert.closeTo(clock.unsafeCurrentTimeMillis(), 30_000, 1_000)
        })
      )
    }))
})

describe("a program's own database", () => {
  it.scopedLive("keeps what the repository does in the program's transaction, or undoes it with the rest", () =>
    Effect.gen(function*() {
      const sql = yield* rawFile(join(yield* folder, "app.db"))
      yield* sql`CREATE TABLE orders (name TEXT)`
      yield* Effect.provide(
        Effect.gen(function*() {
          const repository = yield* SessionRepository
          const order = (id: string) =>
            Effect.zipRight(
              sql`INSERT INTO orders (name) VALUES (${id})`,
              Effect.zipRight(
                repository.save(session(id, { tags: ["a"] })),
                repository.beginTurn({ turnId: `t-${id}`, sessionId: id, prompt: "hi", holder: "me" })
              )
            )
          yield* sql.withTransaction(order("kept"))
          const failed = sql.withTransaction(Effect.zipRight(order("undone"), Effect.fail("no")))
          assert.strictEqual(yield* Effect.flip(failed), "no")
          assert.deepStrictEqual(yield* sql`SELECT name FROM orders`, [{ name: "kept" }])
          assert.deepStrictEqual((yield* repository.list()).sessions.map(({ sessionId }) => sessionId), ["kept"])
          assert.deepStrictEqual(yield* repository.turns("undone"), { turns: [] })
        }),
        over(sql)
      )
    }))

  it.scopedLive("may be read by names of its own making", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "app.db")
      const sql = yield* rawFile(path, {
        transformResultNames: (name) => name.toUpperCase(),
        transformQueryNames: (name) => `${name}_changed`
      })
      yield* Effect.provide(
        Effect.gen(function*() {
          const repository = yield* SessionRepository
          const record = session("s", { tags: ["a", "b"], title: "T" })
          yield* repository.save(record)
          assert.deepStrictEqual(Option.getOrThrow(yield* repository.get("s")), record)
        }),
        over(sql)
      )
    }))

  it.scopedLive("is never half changed: an operation that is interrupted or fails leaves nothing behind", () =>
    Effect.gen(function*() {
      const sql = yield* rawFile(join(yield* folder, "app.db"))
      yield* Effect.provide(
        Effect.gen(function*() {
          const repository = yield* SessionRepository
          yield* repository.save(session("s"))
          yield* sql`CREATE TRIGGER refuse BEFORE UPDATE OF turn_count ON ccflow_sessions
            BEGIN SELECT RAISE(ABORT, 'refused'); END`
          yield* repository.beginTurn({ turnId: "t", sessionId: "s", prompt: "hi", holder: "me" })
          const error = yield* Effect.flip(repository.endTurn("t", { status: "completed", result: "Hello" }))
          assert.deepStrictEqual([error.reason, error.operation], ["Other", "endTurn"])
          assert.strictEqual((yield* repository.turns("s")).turns[0]?.status, "running")
          yield* sql`DROP TRIGGER refuse`
          assert.isTrue(yield* repository.endTurn("t", { status: "completed", result: "Hello" }))
        }),
        over(sql)
      )
    }))

  it.scopedLive("that is neither SQLite nor PostgreSQL is refused", () =>
    Effect.gen(function*() {
      const sql = yield* Effect.provideServiceEffect(
        SqlClient.make({
          acquirer: Effect.fail(new SqlError({ message: "never asked" })),
          compiler: Statement.makeCompiler({
            dialect: "mysql",
            placeholder: () => "?",
            onIdentifier: (name) => name,
            onRecordUpdate: () => ["", []],
            onCustom: () => ["", []]
          }),
          spanAttributes: []
        }),
        Reactivity.Reactivity,
        Reactivity.make
      )
      const error = yield* Effect.flip(Effect.provide(SessionRepository, over(sql)))
      assert.strictEqual(error.reason, "Unavailable")
    }))
})

describe("PostgreSQL", () => {
  for (const address of ["127.0.0.1:1", "no.such.host.invalid", "127.0.0.1:port"]) {
    it.scopedLive(`that cannot be reached is an error without the password (${address})`, () =>
      Effect.gen(function*() {
        const url = Redacted.make(`postgres://me:geheim@${address}/test`)
        const error = yield* Effect.flip(Effect.provide(SessionRepository, PgSessionRepository.layerUrl(url)))
        assert.deepStrictEqual([error._tag, error.reason, error.operation], [
          "SessionStoreError",
          "Unavailable",
          "open"
        ])
        assert.notInclude(JSON.stringify(error) + error.message, "geheim")
      }))
  }

  it.scopedLive.skipIf(noPostgres !== undefined)(
    `that many use at once loses no turn, and no session has two holders${because(noPostgres)}`,
    () =>
      Effect.gen(function*() {
        const url = yield* pgUrl
        const numbers = Array.from({ length: 4 }, (_, n) => n)
        const turns = Array.from({ length: 20 }, (_, n) => n)
        let holders = 0
        const host = (n: number) =>
          Effect.gen(function*() {
            const repository = yield* SessionRepository
            yield* repository.save(session("s"))
            yield* Effect.forEach(turns, (turn) =>
              Effect.gen(function*() {
                const turnId = `${n}-${turn}`
                yield* repository.beginTurn({ turnId, sessionId: "s", prompt: "hi", holder: "me" })
                yield* repository.addTags("s", [turnId])
                yield* repository.endTurn(turnId, { status: "completed", costUsd: 1 })
              }), { concurrency: 5 })
            const lease = yield* Effect.option(repository.acquireLease("s", `${n}`, Duration.minutes(1)))
            if (Option.isSome(lease)) holders++
          })
        yield* Effect.forEach(numbers, (n) => Effect.provide(host(n), PgSessionRepository.layerUrl(url)), {
          concurrency: "unbounded"
        })
        assert.strictEqual(holders, 1)
        const all = numbers.length * turns.length
        const [row] = yield* Effect.flatMap(rawPg(url), (sql) =>
          sql`SELECT turn_count::int AS turns, cost_usd AS cost,
          (SELECT count(DISTINCT turn_index)::int FROM ccflow_turns) AS places FROM ccflow_sessions`)
        assert.deepInclude(row, { turns: all, cost: all, places: all })
      }),
    60_000
  )
})
