import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import { SessionRepository } from "@ccflow/core/SessionRepository"
import * as SqliteSessionRepository from "@ccflow/sql/SqliteSessionRepository"
import * as SqlSessionRepository from "@ccflow/sql/SqlSessionRepository"
import { SqlClient } from "@effect/sql/SqlClient"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option } from "effect"
import { spawnSync } from "node:child_process"
import { chmod, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { because, folder, inFile, rawFile, session } from "./support.js"

const mode = (path: string) => Effect.promise(() => stat(path)).pipe(Effect.map((found) => found.mode & 0o777))

const save = (id: string) => Effect.flatMap(SessionRepository, (repository) => repository.save(session(id)))

const get = (id: string) => Effect.flatMap(SessionRepository, (repository) => repository.get(id))

const refusal = (path: string) => Effect.flip(inFile(path, save("s"))) as Effect.Effect<SessionStoreError>

const isRefused = (error: SessionStoreError, reason: SessionStoreError["reason"]) => {
  assert.strictEqual(error._tag, "SessionStoreError", String(error))
  assert.strictEqual(error.reason, reason, error.message)
  assert.strictEqual(error.operation, "open")
  assert.notStrictEqual(error.hint, "")
}

/** As another user, for root may write anywhere. */
const asNobody = <A, E, R>(use: Effect.Effect<A, E, R>) =>
  process.getuid?.() !== 0
    ? use
    : Effect.acquireUseRelease(
      Effect.sync(() => process.seteuid?.(65534)),
      () => use,
      () => Effect.sync(() => process.seteuid?.(0))
    )

/** A disk of 400 KB. */
const smallDisk = (path: string) =>
  spawnSync("mount", ["-t", "tmpfs", "-o", "size=400k", "none", path], { encoding: "utf8" })

const noSmallDisk = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const home = yield* folder
  const { status } = smallDisk(home)
  if (status === 0) spawnSync("umount", [home])
  return status === 0 ? undefined : "this user may not mount a disk"
})))

describe("the file of the sessions", () => {
  it.scopedLive("is made for its owner's eyes only, with its folder and what SQLite keeps beside it", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const path = join(home, "new", "deep", "sessions.db")
      const before = process.umask(0)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.umask(before)))
      yield* inFile(
        path,
        Effect.gen(function*() {
          yield* save("s")
          const names = yield* Effect.promise(() => readdir(join(home, "new", "deep")))
          assert.sameMembers(names, ["sessions.db", "sessions.db-shm", "sessions.db-wal"])
          for (const name of names) assert.strictEqual(yield* mode(join(home, "new", "deep", name)), 0o600, name)
          for (const name of ["new", "new/deep"]) assert.strictEqual(yield* mode(join(home, name)), 0o700, name)
        })
      )
      assert.isTrue(Option.isSome(yield* inFile(path, get("s"))))
    }))

  it.scopedLive("keeps the mode that its owner gave it", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(path, save("s"))
      yield* Effect.promise(() => chmod(path, 0o640))
      yield* inFile(path, save("s"))
      assert.strictEqual(yield* mode(path), 0o640)
    }))

  it.scopedLive("is written ahead of (WAL), and is one file again when everybody has closed it", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* inFile(join(home, "sessions.db"), save("s"))
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(home)), ["sessions.db"])
      const [row] = yield* Effect.flatMap(rawFile(join(home, "sessions.db")), (sql) => sql`PRAGMA journal_mode`)
      assert.deepStrictEqual(row, { journal_mode: "wal" })
    }))

  it.scopedLive("that is a folder, or in a file, is refused", () =>
    Effect.gen(function*() {
      const home = yield* folder
      isRefused(yield* refusal(home), "NotAFile")
      yield* Effect.promise(() => writeFile(join(home, "file"), ""))
      isRefused(yield* refusal(join(home, "file", "sessions.db")), "NotAFile")
      isRefused(yield* refusal(join(home, "file", "deep", "sessions.db")), "NotAFile")
      isRefused(yield* refusal("  "), "NotAFile")
    }))

  it.scopedLive("that is no database, or a broken one, is refused and left as it is", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      const text = "These are the notes of my last holiday.\n".repeat(300)
      yield* Effect.promise(() => writeFile(path, text))
      isRefused(yield* refusal(path), "Corrupt")
      assert.strictEqual(yield* Effect.promise(() => readFile(path, "utf8")), text)

      yield* Effect.promise(() => rm(path))
      yield* inFile(path, save("s"))
      yield* Effect.promise(() => truncate(path, 6_000))
      const error = yield* refusal(path)
      assert.strictEqual(error.reason, "Corrupt", error.message)
    }))

  it.scopedLive("of a newer version is refused before anything is written", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(path, save("s"))
      yield* Effect.scoped(Effect.flatMap(rawFile(path), (sql) =>
        Effect.zipRight(
          sql`INSERT INTO ccflow_migrations (id, name, applied_at) VALUES (9999, 'later', 0)`,
          sql`PRAGMA journal_mode = DELETE`
        )))
      const before = yield* Effect.promise(() => readFile(path))
      const error = yield* refusal(path)
      isRefused(error, "NewerVersion")
      assert.include(error.message, "9999")
      assert.isTrue(before.equals(yield* Effect.promise(() => readFile(path))))
    }))

  it.scopedLive("that may not be written is refused, and so is a folder where it may not be made", () =>
    Effect.gen(function*() {
      const home = yield* folder
      yield* Effect.promise(() => chmod(home, 0o755))
      const path = join(home, "sessions.db")
      yield* inFile(path, save("s"))
      yield* Effect.promise(() => chmod(path, 0o444))
      yield* Effect.promise(() => mkdir(join(home, "closed"), { mode: 0o555 }))
      yield* Effect.promise(() => chmod(join(home, "closed"), 0o555))
      for (const refused of [path, join(home, "closed", "sessions.db"), join(home, "closed", "new", "sessions.db")]) {
        isRefused(yield* asNobody(refusal(refused)), "ReadOnly")
      }
    }))

  const fill = (path: string) =>
    Effect.gen(function*() {
      const repository = yield* SessionRepository
      yield* repository.beginTurn({ turnId: "t", sessionId: "before", prompt: "hi", holder: "me" })
      const failed = yield* Effect.flip(
        Effect.forever(repository.appendMessages("t", Array.from({ length: 10 }, () => "x".repeat(500))))
      )
      assert.strictEqual(failed._tag, "SessionStoreError")
      assert.strictEqual(failed.reason, "DiskFull", failed.message)
      assert.strictEqual(failed.operation, "appendMessages")
      assert.strictEqual((yield* repository.turns("before")).turns.length, 1, path)
      const { messages } = yield* repository.messages("t", { limit: 1000 })
      assert.isAbove(messages.length, 1)
      assert.strictEqual(messages.length % 10, 0)
    })

  it.scopedLive("that may not grow says that the disk is full, and what was stored before is intact", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "sessions.db")
      yield* inFile(path, save("before"))
      // SQLite reports its own limit as it does a full disk. It holds for the connection.
      const sql = yield* rawFile(path)
      yield* sql`PRAGMA max_page_count = 60`
      yield* Effect.provide(fill(path), Layer.provide(SqlSessionRepository.layer, Layer.succeed(SqlClient, sql)))
    }))

  it.scopedLive.skipIf(noSmallDisk !== undefined)(
    `on a disk that fills up says so, and what was stored before is intact${because(noSmallDisk)}`,
    () =>
      Effect.gen(function*() {
        const disk = yield* folder
        yield* Effect.acquireRelease(
          Effect.sync(() => smallDisk(disk)),
          () => Effect.sync(() => spawnSync("umount", ["-l", disk]))
        )
        const path = join(disk, "sessions.db")
        yield* inFile(path, save("before"))
        yield* inFile(path, fill(path))
        assert.isTrue(Option.isSome(yield* inFile(path, get("before"))))
        // Not a byte left to open another one.
        yield* Effect.promise(() => writeFile(join(disk, "rest"), "x".repeat(400_000)).catch(() => {}))
        const error = yield* refusal(join(disk, "other.db"))
        isRefused(error, "DiskFull")
      })
  )
})

describe("where the sessions are kept", () => {
  const path = (variables: Record<string, string>) =>
    Effect.withConfigProvider(
      SqliteSessionRepository.pathConfig,
      ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "/" })
    )

  it.effect("is said by CCFLOW_SESSION_STORAGE_PATH, or else is the user's data folder", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* path({ CCFLOW_SESSION_STORAGE_PATH: "/else/s.db", XDG_DATA_HOME: "/data" }),
        "/else/s.db"
      )
      if (process.platform !== "linux") return
      assert.strictEqual(yield* path({ XDG_DATA_HOME: "/data" }), "/data/ccflow/sessions.db")
      const usual = join(homedir(), ".local", "share", "ccflow", "sessions.db")
      assert.strictEqual(yield* path({}), usual)
      assert.strictEqual(yield* path({ CCFLOW_SESSION_STORAGE_PATH: "", XDG_DATA_HOME: "relative" }), usual)
    }))

  it.scopedLive("is where layerConfig keeps them", () =>
    Effect.gen(function*() {
      const home = yield* folder
      const variables = new Map([["CCFLOW_SESSION_STORAGE_PATH", join(home, "mine.db")]])
      yield* Effect.provide(save("s"), SqliteSessionRepository.layerConfig).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(variables, { pathDelim: "/" }))
      )
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(home)), ["mine.db"])
    }))
})
