import { type CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import * as Either from "effect/Either"
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { locate } from "./executable.js"

/**
 * The same CLI through a cassette, as `CCFLOW_CASSETTE` asks: recorded, or played from the file. Both are done by a
 * program of `@ccflow/testing`, so that nothing of it is in programs that only ask.
 */
export const throughCassette = (
  invocation: Invocation,
  given: string
): Either.Either<Invocation, CliNotFoundError | CliSpawnError> =>
  Either.gen(function*() {
    const file = resolve(given)
    const program = yield* programOf(invocation.command)
    const { folder, mode } = yield* runOf(file)
    const path = "PATH" in invocation.env ? invocation.env["PATH"] : process.env["PATH"]
    const cli = mode === "record"
      ? yield* Either.map(locate(invocation, path), (found) => realOf(found, program))
      : undefined
    return {
      ...invocation,
      command: process.execPath,
      args: [program, ...invocation.args],
      env: {
        ...invocation.env,
        ...passedOn(),
        CCFLOW_CASSETTE: file,
        CCFLOW_CASSETTE_MODE: mode,
        CCFLOW_CASSETTE_RUN: folder,
        CCFLOW_CASSETTE_CLI: cli
      }
    }
  })

// ---------------------------------------------------------------------------

interface Run {
  /** What the processes of this run must know of each other. */
  readonly folder: string
  readonly mode: "record" | "replay"
}

const runs = new Map<string, Run>()

/** Decided once for each file: what is being recorded is not played. */
const runOf = (file: string): Either.Either<Run, CliSpawnError> => {
  const begun = runs.get(file)
  if (begun !== undefined) return Either.right(begun)
  const mode = process.env["CCFLOW_CASSETTE_MODE"] || "auto"
  if (mode !== "auto" && mode !== "record" && mode !== "replay") {
    return Either.left(refused(file, "CCFLOW_CASSETTE_MODE must be one of auto, record, replay."))
  }
  const run: Run = {
    folder: process.env["CCFLOW_CASSETTE_RUN"] || makeFolder(),
    // What nobody has recorded is not to be recorded by a build server, which has no login or not that one.
    mode: mode !== "auto" ? mode : existsSync(file) || (process.env["CI"] ?? "") !== "" ? "replay" : "record"
  }
  runs.set(file, run)
  return Either.right(run)
}

const makeFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "ccflow-cassette-"))
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Where `ccflow record` has said it, the program need not have it. */
const programOf = (command: string): Either.Either<string, CliSpawnError> => {
  const given = process.env["CCFLOW_CASSETTE_PROGRAM"] ?? ""
  if (given !== "") return Either.right(given)
  return Either.try({
    try: () => {
      const found = createRequire(import.meta.url).resolve("@ccflow/testing/package.json")
      return join(dirname(found), "bin", "cassette-claude.mjs")
    },
    catch: () =>
      refused(command, "CCFLOW_CASSETTE needs the package @ccflow/testing: install it, or unset the variable.")
  })
}

/** `ccflow record` puts a stand-in on the `PATH`, and says whose. */
const realOf = (found: string, program: string): string =>
  realpathSync(found) === realpathSync(program) ? process.env["CCFLOW_CASSETTE_CLI"] ?? found : found

/** The rest of what is said of cassettes, also to a CLI that gets no other variable of this process. */
const passedOn = (): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(
    ["CCFLOW_CASSETTE_TIME", "CCFLOW_CASSETTE_MATCH", "CCFLOW_CASSETTE_REDACT"].map((name) => [name, process.env[name]])
  )

const refused = (command: string, hint: string): CliSpawnError =>
  new CliSpawnError({ command, reason: "Other", code: "CASSETTE", hint })
