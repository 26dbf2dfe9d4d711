import { SessionRepository } from "@ccflow/core/SessionRepository"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { folder, inFile, rawFile, session } from "./support.js"

const count = 10_000

it.scopedLive(
  "ten thousand sessions are listed by any filter and in any order, from an index",
  () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(
        path,
        Effect.gen(function*() {
          const sessions = yield* SessionRepository
          const figures: Array<string> = []
          const timed = <A, E>(name: string, use: Effect.Effect<A, E>) =>
            Effect.map(Effect.timed(use), ([duration, value]) => {
              figures.push(`${name} ${
                duration.pipe((taken) =>
                  Number(
                    taken.value._tag === "Millis"
                      ? taken.value.millis
                      : Number(taken.value._tag === "Nanos" ? taken.value.nanos : 0n) / 1e6
                  )
                ).toFixed(1)
              } ms`)
              return value
            })
          yield* timed(
            `${count} saved`,
            Effect.forEach(Array.from({ length: count }, (_, n) => n), (n) =>
              sessions.save(session(`s${n}`, {
                title: `Session ${n}`,
                status: n % 3 === 0 ? "closed" : "open",
                model: n % 2 === 0 ? "opus" : "haiku",
                tags: [`t${n % 7}`, `u${n % 100}`],
                createdAt: n,
                updatedAt: count - n,
                turnCount: n % 50,
                costUsd: n / 1000
              })), { discard: true })
          )
          for (const orderBy of ["updatedAt", "createdAt", "turnCount", "costUsd", "title"] as const) {
            const page = yield* timed(orderBy, sessions.list({ orderBy }))
            assert.strictEqual(page.sessions.length, 100)
            const behind = yield* timed(`${orderBy}, second page`, sessions.list({ orderBy, after: page.next }))
            assert.strictEqual(behind.sessions.length, 100)
          }
          const filter = { status: "open", model: "haiku", tags: ["t1", "u1"], createdAfter: 500, minTurns: 1 } as const
          const expected = Array.from({ length: count }, (_, n) => n).filter((n) =>
            n % 3 !== 0 && n % 2 === 1 && (n % 7 === 1 || n % 100 === 1) && n > 500 && n % 50 >= 1
          )
          assert.strictEqual(yield* timed("filtered count", sessions.count(filter)), expected.length)
          const page = yield* timed("filtered", sessions.list({ ...filter, limit: 1000 }))
          assert.strictEqual(page.sessions.length, expected.length)
          assert.strictEqual(yield* timed("searched", sessions.count({ search: "SESSION 99" })), 111)
          yield* Effect.log(figures.join("; "))
        })
      )

      const sql = yield* rawFile(path)
      for (
        const [column, index] of [["updated_at"], ["created_at"], ["turn_count"], ["cost_usd"], [
          "title_folded",
          "title"
        ]] as const
      ) {
        const plan = yield* sql<{ detail: string }>`EXPLAIN QUERY PLAN SELECT * FROM ccflow_sessions s
        WHERE (${sql(column)}, session_id) < (${1}, ${"s"})
        ORDER BY ${sql(column)} DESC, session_id DESC LIMIT 100`
        const steps = plan.map(({ detail }) => detail).join("; ")
        assert.include(steps, `ccflow_sessions_${index ?? column}`)
        assert.notInclude(steps, "TEMP B-TREE")
      }
    }),
  120_000
)
