/**
 * `ccflow record`: runs a program, and writes down what it and its CLIs say to each other, as a cassette to test it with.
 * `ccflow replay`: runs it on the cassette.
 */
import { CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { spawn } from "node:child_process"
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { createRequire } from "node:module"
import { constants as system, tmpdir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { command } from "./internal/running.js"
import { Terminal } from "./Terminal.js"

const file = Args.text({ name: "file" }).pipe(Args.withDescription("The cassette."))
const program = Args.text({ name: "program" }).pipe(
  Args.withDescription("The program and its arguments, behind --."),
  Args.atLeast(1)
)

/** What is behind `--` is the program's. */
export const record = command(
  "ccflow record",
  [
    "Runs a program and records what it and Claude Code say to each other: ccflow record <file> -- <program> …",
    "Every claude that it starts is recorded: through ccflow, in whatever process, and any other that is looked up " +
    "on the PATH. The file is begun anew. Secrets, places, e-mails, accounts and ids are not in it; read it before you " +
    "give it away.",
    "To play it: ccflow replay <file> -- <program> …, or CCFLOW_CASSETTE=<file> in the program's environment, or " +
    "cassetteClient of ccflow/testing in a test. The exit code is the program's."
  ],
  { file, program },
  ({ file, program }) => through("record", file, program)
)

/** The same. */
export const replay = command(
  "ccflow replay",
  [
    "Runs a program on a cassette, without Claude Code: ccflow replay <file> -- <program> …",
    "The exit code is the program's, or 1 where that is 0 and it asked for something that the cassette does not have."
  ],
  {
    file,
    program,
    recorded: Flags.flag("recorded-time", "Wait as Claude Code did. Without it everything comes at once.")
  },
  ({ file, program, recorded }) => through("replay", file, program, recorded)
)

// ---------------------------------------------------------------------------

const through = (mode: "record" | "replay", given: string, [command, ...args]: ReadonlyArray<string>, timed = false) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal
    const cassette = resolve(given)
    if (mode === "replay" && !existsSync(cassette)) {
      const hint = `Record it first: ccflow record ${given} -- …`
      return yield* invalidOption("file", `there is no cassette ${given}`, hint)
    }
    const stand = standIn()
    const cli = mode === "record" ? yield* realCli : undefined
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "ccflow-cassette-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    // For programs that look for `claude` themselves.
    if (process.platform !== "win32") symlinkSync(stand, join(folder, "claude"))
    process.exitCode = yield* exitCodeOf(command ?? "", args, {
      ...process.env,
      PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}`,
      CCFLOW_CASSETTE: cassette,
      CCFLOW_CASSETTE_MODE: mode,
      CCFLOW_CASSETTE_PROGRAM: stand,
      CCFLOW_CASSETTE_RUN: join(folder, "run"),
      ...cli === undefined ? {} : { CCFLOW_CASSETTE_CLI: cli, CCFLOW_CLI_PATH: cli },
      ...timed ? { CCFLOW_CASSETTE_TIME: "recorded" } : {}
    })
    const mismatches = join(folder, "run", "mismatches")
    if (!existsSync(mismatches)) return
    yield* terminal.warn(readFileSync(mismatches, "utf8").trimEnd())
    process.exitCode ||= 1
  }).pipe(Effect.scoped)

/** Signals to the terminal's group reach the program itself; it decides when to end. */
const exitCodeOf = (command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) =>
  Effect.async<number, CliNotFoundError>((resume) => {
    const child = spawn(command, args, { env, stdio: "inherit" })
    const ignore = () => {}
    const passOn = (signal: NodeJS.Signals) => child.kill(signal)
    process.on("SIGINT", ignore).on("SIGTERM", passOn).on("SIGHUP", passOn)
    const done = (result: Effect.Effect<number, CliNotFoundError>) => {
      process.off("SIGINT", ignore).off("SIGTERM", passOn).off("SIGHUP", passOn)
      resume(result)
    }
    child.on("error", () => done(new CliNotFoundError({ command, hint: "Name a program that can be run." })))
    child.on(
      "exit",
      (code, signal) => done(Effect.succeed(code ?? 128 + (signal === null ? 0 : system.signals[signal])))
    )
  }).pipe(Effect.uninterruptible)

const standIn = (): string =>
  process.env["CCFLOW_CASSETTE_PROGRAM"] ||
  join(dirname(createRequire(import.meta.url).resolve("@ccflow/testing/package.json")), "bin", "cassette-claude.mjs")

/** The one that would have been used. */
const realCli: Effect.Effect<string, CliNotFoundError> = Effect.suspend(() => {
  const command = process.env["CCFLOW_CLI_PATH"] || "claude"
  if (command.includes("/") || process.platform === "win32") return Effect.succeed(command)
  const places = (process.env["PATH"] ?? "").split(delimiter).map((folder) => resolve(folder, command))
  const found = places.find(isExecutable)
  return found === undefined
    ? Effect.fail(new CliNotFoundError({ command, hint: "Install Claude Code, or set CCFLOW_CLI_PATH." }))
    : Effect.succeed(found)
})

const isExecutable = (path: string): boolean => Either.isRight(Either.try(() => accessSync(path, constants.X_OK)))
