/**
 * Starts the CLI with `node:child_process`: a thin adapter, because the process is what a query costs.
 *
 * The child leads a process group of its own, without a shell and without a terminal. Closing it is bounded whatever it
 * does: stdin is ended, then SIGINT, SIGTERM and SIGKILL go to the group with a grace after each. These waits run on real
 * time, so that a program under a test clock does not hang on a real process.
 */
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation, type RunningCli } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { throughCassette } from "./internal/cassette.js"
import { Child } from "./internal/child.js"
import { isDirectory, locate } from "./internal/executable.js"
import { privateFiles } from "./internal/privateFiles.js"
import { memoryOf } from "./internal/processTable.js"
import { cwdMissing, spawnError } from "./internal/spawnError.js"

/** How the processes belong to this Node. */
export interface NodeCliProcessOptions {
  /** They do not keep Node alive, for a host that holds itself while it is asked. They go with it. Default: false. */
  readonly unref?: boolean | undefined
}

/** The CLI as a child process of this Node. */
export const layerWith = ({ unref = false }: NodeCliProcessOptions): Layer.Layer<CliProcess> =>
  Layer.succeed(CliProcess, {
    open: (invocation) => {
      const cassette = process.env["CCFLOW_CASSETTE"]
      return cassette === undefined || cassette === ""
        ? open(invocation, unref)
        : Effect.flatMap(throughCassette(invocation, cassette), (taped) => open(taped, unref))
    }
  })

/** The CLI as a child process that keeps this Node alive while it runs. */
export const layer: Layer.Layer<CliProcess> = layerWith({})

// ---------------------------------------------------------------------------

const open = (invocation: Invocation, unref: boolean) =>
  invocation.files.length === 0
    ? owned(invocation, unref)
    : Effect.flatMap(privateFiles(invocation), (more) =>
      owned({ ...invocation, args: [...invocation.args, ...more] }, unref))

const owned = (invocation: Invocation, unref: boolean) =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.flatMap(start(invocation, unref), (child) =>
        Effect.as(
          Scope.addFinalizer(
            scope,
            Effect.async<void>((resume) => child.close(invocation.graces, () => resume(Effect.void)))
          ),
          handle(child)
        )))
  )

const start = (invocation: Invocation, unref: boolean): Effect.Effect<Child, CliNotFoundError | CliSpawnError> =>
  Effect.suspend(() => {
    const { args, command, cwd } = invocation
    const env = childEnvironment(invocation.env)
    if (cwd !== undefined && !isDirectory(cwd)) return Effect.fail(cwdMissing(command, cwd))
    const located = locate(invocation, env["PATH"])
    if (Either.isLeft(located)) return Effect.fail(located.left)
    const failed = (cause: unknown) => Effect.fail(spawnError(invocation, cause))
    try {
      const cli = spawn(located.right, args, {
        argv0: command,
        cwd,
        env,
        stdio: "pipe",
        detached: true,
        windowsHide: true
      })
      if (cli.pid === undefined) {
        const reason = new Promise<unknown>((resolve) => cli.on("error", resolve))
        return Effect.flatMap(Effect.promise(() => reason), failed)
      }
      // Errors now tell of signals that came too late.
      cli.on("error", () => {})
      return Effect.succeed(new Child(cli, cli.pid, unref))
    } catch (cause) {
      return failed(cause)
    }
  })

/** Read name by name: a spread asks for each variable twice. What is `undefined` is not handed on by `spawn`. */
const childEnvironment = (changes: Invocation["env"]): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = {}
  for (const name of Object.getOwnPropertyNames(process.env)) env[name] = process.env[name]
  return Object.assign(env, changes)
}

const handle = (child: Child): RunningCli => {
  const { output, stderr } = child
  const take = Effect.sync(() => output.take())
  // Whoever was interrupted meanwhile is woken for nothing: to call it off would cost each read as much again.
  const arrival = Effect.async<ReadonlyArray<Uint8Array>>((resume) => {
    output.onReady(() => child.tell(() => resume(take)))
  })
  return {
    pid: child.pid,
    // Taken by the reader's own fiber: one that has been interrupted leaves what has come to the next.
    stdout: Effect.suspend(() => output.ready && !child.dismissed ? take : arrival),
    send: (text) => Effect.async((resume) => child.send(text, (taken) => resume(Effect.succeed(taken)))),
    closeInput: Effect.sync(() => child.closeInput()),
    interrupt: Effect.sync(() => child.interrupt()),
    exit: Effect.async((resume) => Effect.sync(child.onExit((exit) => resume(Effect.succeed(exit))))),
    stderrTail: Effect.async((resume) => Effect.sync(stderr.read((text) => resume(Effect.succeed(text))))),
    memory: memoryOf(child.pid)
  }
}
