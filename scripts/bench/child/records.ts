import * as SessionRepository from "@ccflow/core/SessionRepository"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parametersOf, report } from "./measure.js"

interface Parameters {
  readonly variant: "raw" | "repository"
  readonly messages: number
  /** Lines of the CLI, whose sizes the stored messages have. */
  readonly file: string
}

interface Statement {
  readonly run: (...values: ReadonlyArray<unknown>) => unknown
  readonly all: (...values: ReadonlyArray<unknown>) => ReadonlyArray<{ readonly body: string; readonly id: number }>
}

interface Database {
  readonly pragma: (text: string) => unknown
  readonly prepare: (text: string) => Statement
  readonly transaction: <A>(run: () => A) => { readonly immediate: () => A }
}

const { file, messages, variant } = parametersOf<Parameters>()

const batchSize = 100
const lines = readFileSync(file, "utf8").slice(0, 4_000_000).split("\n").slice(0, messages)
const bodies: ReadonlyArray<unknown> = lines.flatMap((line) => line.endsWith("}") ? [JSON.parse(line)] : [])
const batches = Array.from(
  { length: messages / batchSize },
  (_, index) => Array.from({ length: batchSize }, (_, at) => bodies[(index * batchSize + at) % bodies.length])
)
const turnCount = messages / 20

const folder = mkdtempSync(join(tmpdir(), "ccflow-bench-"))
const path = join(folder, "sessions.db")
const rate = async (count: number, run: () => Promise<unknown> | void): Promise<number> => {
  const startedAt = performance.now()
  await run()
  return count / (performance.now() - startedAt) * 1000
}

const sessionId = randomUUID()
const turnIds = Array.from({ length: turnCount }, () => randomUUID())
const [logged = ""] = turnIds

const program = Effect.gen(function*() {
  const repository = yield* SessionRepository.SessionRepository
  const at = Date.now()
  yield* repository.save({
    sessionId,
    status: "open",
    title: "bench",
    cwd: "/",
    tags: [],
    createdAt: at,
    updatedAt: at,
    turnCount: 0,
    usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
    costUsd: 0,
    durationMs: 0,
    options: {}
  })
  return repository
})

const repository = async () => {
  await Effect.runPromise(
    Effect.gen(function*() {
      const store = yield* program
      const turns = yield* Effect.promise(() =>
        rate(turnCount, () =>
          Effect.runPromise(
            Effect.forEach(turnIds, (turnId) =>
              Effect.zipRight(
                store.beginTurn({ turnId, sessionId, prompt: "What is 2+2?", holder: "bench" }),
                store.endTurn(turnId, { status: "completed", result: "4", costUsd: 0.001, numTurns: 1 })
              ), { discard: true })
          ))
      )
      const appends = yield* Effect.promise(() =>
        rate(messages, () =>
          Effect.runPromise(
            Effect.forEach(batches, (batch) => store.appendMessages(logged, batch), { discard: true })
          ))
      )
      const pages = yield* Effect.promise(() =>
        rate(messages / batchSize, async () => {
          let after: number | undefined
          do {
            const page = await Effect.runPromise(
              store.messages(logged, after === undefined ? { limit: batchSize } : { limit: batchSize, after })
            )
            after = page.next
          } while (after !== undefined)
        })
      )
      report({ turns, appends, pages })
    }).pipe(Effect.provide(SqliteSessionRepository.layer({ path })))
  )
}

/** The same tables and statements with the driver alone. */
const raw = async () => {
  await Effect.runPromise(Effect.provide(program, SqliteSessionRepository.layer({ path })))
  const open: new(path: string) => Database = createRequire(import.meta.url)("better-sqlite3")
  const database = new open(path)
  database.pragma("synchronous = NORMAL")
  const begin = database.prepare(
    "INSERT INTO ccflow_turns (turn_id, session_id, turn_index, prompt, prompt_folded, status, started_at, seen, holder) VALUES (?, ?, ?, ?, ?, 'running', ?, '', 'bench')"
  )
  const touch = database.prepare("UPDATE ccflow_sessions SET updated_at = ? WHERE session_id = ?")
  const end = database.prepare(
    "UPDATE ccflow_turns SET status = 'completed', ended_at = ?, result = ?, cost_usd = ?, num_turns = ? WHERE turn_id = ?"
  )
  const add = database.prepare(
    "UPDATE ccflow_sessions SET turn_count = turn_count + 1, cost_usd = cost_usd + ?, updated_at = ? WHERE session_id = ?"
  )
  const insert = database.prepare("INSERT INTO ccflow_messages (turn_id, body) VALUES (?, ?)")
  const page = database.prepare(
    "SELECT message_id AS id, body FROM ccflow_messages WHERE turn_id = ? AND message_id > ? ORDER BY message_id LIMIT 100"
  )
  const turns = await rate(turnCount, () => {
    turnIds.forEach((turnId, index) => {
      const now = Date.now()
      database.transaction(() => {
        begin.run(turnId, sessionId, index, "\"What is 2+2?\"", "what is 2+2?", now)
        touch.run(now, sessionId)
      }).immediate()
      database.transaction(() => {
        end.run(now, "4", 0.001, 1, turnId)
        add.run(0.001, now, sessionId)
      }).immediate()
    })
  })
  const appends = await rate(messages, () => {
    for (const batch of batches) {
      database.transaction(() => {
        for (const body of batch) insert.run(logged, JSON.stringify(body))
      }).immediate()
    }
  })
  const pages = await rate(messages / batchSize, () => {
    for (let after = 0;;) {
      const rows = page.all(logged, after)
      for (const { body } of rows) JSON.parse(body)
      if (rows.length < batchSize) return
      after = rows.at(-1)?.id ?? after
    }
  })
  report({ turns, appends, pages })
}

process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
const variants = { raw, repository }
await variants[variant]()
