import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import { appendFile, mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"

/** What was written in earlier conversations, one JSON text a line. */
export interface History {
  /** The latest last. */
  readonly lines: Array<string>
  readonly add: (line: string) => Effect.Effect<void>
}

/**
 * Beside the session records. Its absence is an empty history, and one that cannot be kept is none: a conversation is
 * worth more.
 */
export const open = (records: string | undefined): Effect.Effect<History> => {
  if (records === undefined) return Effect.succeed({ lines: [], add: () => Effect.void })
  const path = `${records.replace(/\.db$/, "")}.history`
  return Effect.gen(function*() {
    const text = yield* Effect.orElseSucceed(Effect.tryPromise(() => readFile(path, "utf8")), () => "")
    const all = Arr.filterMap(text.split("\n"), (json) => lineOf(json))
    const lines = all.slice(-kept)
    if (all.length > kept * 2) yield* Effect.ignore(rewrite(path, lines))
    const add = (line: string) =>
      Effect.ignore(Effect.tryPromise(async () => {
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await appendFile(path, `${JSON.stringify(line)}\n`, { mode: 0o600 })
      }))
    return { lines, add }
  })
}

// ---------------------------------------------------------------------------

const kept = 1000

const lineOf = Schema.decodeOption(Schema.parseJson(Schema.String))

/** Beside it and then in its place, so that whoever reads it meanwhile has a whole one. */
const rewrite = (path: string, lines: ReadonlyArray<string>) =>
  Effect.tryPromise(async () => {
    const next = `${path}.${randomUUID()}`
    await writeFile(next, lines.map((line) => `${JSON.stringify(line)}\n`).join(""), { mode: 0o600 })
    await rename(next, path)
  })
