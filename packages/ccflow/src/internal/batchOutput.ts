import type { BatchEnd } from "@ccflow/core/Batch"
import type { Prompt } from "@ccflow/core/Claude"
import { InvalidOptionsError, SessionStoreError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { createReadStream } from "node:fs"
import { type FileHandle, open as openFile, realpath, stat } from "node:fs/promises"
import { codeOf } from "./errorCode.js"
import { invalidOption } from "./invalidOption.js"

/** One line of the output: how a prompt ended. */
export interface Line {
  readonly key: string
  readonly index: number
  readonly prompt: Prompt
  readonly status: "completed" | "failed" | "cancelled"
  readonly result?: string
  readonly structuredOutput?: unknown
  readonly error?: { readonly tag: string; readonly message: string }
  readonly costUsd: number
  readonly sessionId?: string | undefined
}

export const lineOf = ({ costUsd, key, outcome, prompt }: BatchEnd, index: number): Line => {
  const item = { key, index, prompt }
  switch (outcome._tag) {
    case "Completed": {
      const { result, sessionId, structuredOutput } = outcome.result
      return { ...item, status: "completed", result, structuredOutput, costUsd, sessionId }
    }
    case "Failed": {
      const { error } = outcome
      const sessionId = "facts" in error ? error.facts?.sessionId : undefined
      const told = { tag: error._tag, message: error.message }
      return { ...item, status: "failed", error: told, costUsd, sessionId: sessionId === "" ? undefined : sessionId }
    }
    case "Cancelled":
      return { ...item, status: "cancelled", costUsd }
  }
}

/** Why there is no output, or no more of it. */
export type Refused = InvalidOptionsError | SessionStoreError

/** Where the lines go. */
export interface Output {
  /** A whole line, and on the disk when this has ended. */
  readonly write: (line: Line) => Effect.Effect<void, Refused>
  /** The keys of what an earlier run has completed. */
  readonly finished: ReadonlySet<string>
  /** What the lines of earlier runs have cost. */
  readonly spentUsd: number
  /** Says which file it is, however it is called; nothing where it is no file. */
  readonly name: string | undefined
}

/** Through something else, such as stdout. */
export const of = (write: (line: string) => Effect.Effect<void>): Output => ({
  write: (line) => write(`${JSON.stringify(line)}\n`),
  finished: new Set(),
  spentUsd: 0,
  name: undefined
})

/** What to do with an output that is there already. */
export type Existing = "refuse" | "resume" | "overwrite"

/** The file is readable by its owner alone: it has prompts and answers. */
export const open = (
  path: string,
  existing: Existing,
  input: string | undefined
): Effect.Effect<Output, Refused, Scope.Scope> =>
  Effect.gen(function*() {
    const { handle, isFile } = yield* Effect.acquireRelease(
      attempt("open", () => opened(path, existing, input)),
      ({ handle }) => Effect.promise(() => handle.close().catch(() => {}))
    )
    const earlier = isFile && existing === "resume"
      ? yield* attempt("read", () => repaired(handle, path))
      : { finished: new Set<string>(), spentUsd: 0 }
    const one = Effect.unsafeMakeSemaphore(1).withPermits(1)
    const append = async (line: Line) => {
      await handle.appendFile(`${JSON.stringify(line)}\n`)
      if (isFile) await handle.datasync()
    }
    // Behind a line that was not written whole no other may stand.
    let broken: Effect.Effect<never, Refused> | undefined
    return {
      ...earlier,
      name: isFile ? yield* attempt("open", () => realpath(path)) : undefined,
      write: (line) =>
        one(Effect.uninterruptible(Effect.suspend(() => broken ?? attempt("write", () => append(line))))).pipe(
          Effect.tapError((error) => Effect.sync(() => broken = Effect.fail(error)))
        )
    }
  })

// ---------------------------------------------------------------------------

const opened = async (path: string, existing: Existing, input: string | undefined) => {
  const there = await stat(path).catch(() => undefined)
  const isFile = there === undefined || there.isFile()
  if (there !== undefined && isFile) {
    if (input !== undefined && await isSame(path, input)) throw isInput(path)
    // In an empty one nothing is lost.
    if (existing === "refuse" && there.size > 0) throw exists(path)
  }
  const flags = existing === "refuse" && there === undefined ? "ax" : existing === "overwrite" && isFile ? "w" : "a"
  const handle = await openFile(path, flags, 0o600).catch((error: unknown) => {
    throw codeOf(error) === "EEXIST" ? exists(path) : error
  })
  try {
    if (isFile) await handle.chmod(0o600)
  } catch (error) {
    await handle.close()
    throw error
  }
  return { handle, isFile }
}

const isSame = async (path: string, input: string): Promise<boolean> => {
  const [a, b] = await Promise.all([path, input].map((each) => stat(each, { bigint: true }).catch(() => undefined)))
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino
}

/** A last line that was torn when its writer died is taken away; all others must be lines of ours. */
const repaired = async (handle: FileHandle, path: string) => {
  const finished = new Set<string>()
  let spentUsd = 0
  let number = 0
  for await (const { at, ended, text } of linesOf(path)) {
    number++
    const line = read(text)
    if (Option.isSome(line)) {
      if (line.value.status === "completed") finished.add(line.value.key)
      spentUsd += line.value.costUsd
      if (!ended) await handle.appendFile("\n")
    } else if (ended) throw notOurs(path, number)
    else await handle.truncate(at)
  }
  return { finished, spentUsd }
}

async function* linesOf(path: string) {
  let at = 0
  let begun: Array<Buffer> = []
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0
    for (;;) {
      const newline = chunk.indexOf(10, from)
      if (newline < 0) break
      begun.push(chunk.subarray(from, newline))
      const line = Buffer.concat(begun)
      yield { at, ended: true, text: line.toString() }
      at += line.length + 1
      begun = []
      from = newline + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
  }
  if (begun.length > 0) yield { at, ended: false, text: Buffer.concat(begun).toString() }
}

const read = Schema.decodeOption(
  Schema.parseJson(Schema.Struct({ key: Schema.String, status: Schema.String, costUsd: Schema.Number }))
)

const attempt = <A>(operation: string, act: () => Promise<A>): Effect.Effect<A, Refused> =>
  Effect.tryPromise({
    try: act,
    catch: (error) =>
      error instanceof InvalidOptionsError ? error : new SessionStoreError({
        operation: `${operation} the output`,
        reason: reasons[codeOf(error)] ?? "Other",
        detail: error instanceof Error ? error.message : String(error),
        hint: "Make room for it, or name another file with --output."
      })
  })

const reasons: Readonly<Record<string, SessionStoreError["reason"]>> = {
  EACCES: "ReadOnly",
  EPERM: "ReadOnly",
  EROFS: "ReadOnly",
  EISDIR: "NotAFile",
  ENOTDIR: "NotAFile",
  ENOSPC: "DiskFull",
  EDQUOT: "DiskFull"
}

const exists = (path: string) =>
  invalidOption("--output", `${path} is there already`, "--resume runs what is missing in it, --force overwrites it.")

const isInput = (path: string) =>
  invalidOption("--output", `${path} is the input`, "Name another file: the prompts would be overwritten.")

const notOurs = (path: string, line: number) =>
  invalidOption(
    "--output",
    `line ${line} of ${path} is no line of a batch's output`,
    "Name the output of the batch that is to go on, or another file."
  )
