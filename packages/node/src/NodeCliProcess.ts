/**
 * Starts the CLI with `node:child_process`: a thin adapter, because the process is what a query costs.
 *
 * The child leads a process group of its own, without a shell and without a terminal. Closing it is bounded whatever it
 * does: stdin is ended, then SIGINT, SIGTERM and SIGKILL go to the group with a grace after each. These waits run on real
 * time, so that a program under a test clock does not hang on a real process.
 */
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { type CliExit, CliProcess, type Invocation, type RunningCli } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { OutputReader } from "./internal/outputReader.js"
import { privateFiles } from "./internal/privateFiles.js"
import * as Group from "./internal/processGroup.js"
import { spawnError } from "./internal/spawnError.js"
import { TailBuffer } from "./internal/tailBuffer.js"

const open = (invocation: Invocation): Effect.Effect<RunningCli, CliNotFoundError | CliSpawnError, Scope.Scope> =>
  Effect.gen(function*() {
    const fileArgs = invocation.files.length === 0 ? [] : yield* privateFiles(invocation.files)
    const args = fileArgs.length === 0 ? invocation.args : [...invocation.args, ...fileArgs]
    return yield* Effect.acquireRelease(
      start(invocation, args),
      (child) => close(child, invocation)
    ).pipe(Effect.map(handle))
  })

/** The CLI as a child process of this Node. */
export const layer: Layer.Layer<CliProcess> = Layer.succeed(CliProcess, { open })

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

interface Child {
  readonly process: ChildProcessWithoutNullStreams
  readonly pid: number
  readonly output: OutputReader
  readonly stderr: TailBuffer
  exit: CliExit | undefined
  readonly onExit: Set<() => void>
}

const start = (invocation: Invocation, args: ReadonlyArray<string>) =>
  Effect.async<Child, CliNotFoundError | CliSpawnError>((resume) => {
    let child: ChildProcessWithoutNullStreams
    try {
      child = spawn(invocation.command, args, {
        cwd: invocation.cwd,
        env: childEnvironment(invocation.env),
        stdio: "pipe",
        detached: true,
        windowsHide: true
      })
    } catch (cause) {
      return resume(Effect.fail(spawnError(invocation, cause)))
    }
    const { pid } = child
    // Without a listener an error of a pipe would end the host; what it means is told by the exit.
    child.stdin.on("error", () => {})
    child.stdout.on("error", () => {})
    child.stderr.on("error", () => {})
    if (pid === undefined) {
      child.once("error", (cause) => resume(Effect.fail(spawnError(invocation, cause))))
      return
    }
    child.on("error", () => {})
    resume(Effect.succeed(started(child, pid)))
  })

const started = (process: ChildProcessWithoutNullStreams, pid: number): Child => {
  Group.register(pid)
  const child: Child = {
    process,
    pid,
    output: new OutputReader(process.stdout),
    stderr: new TailBuffer(process.stderr, stderrTailBytes),
    exit: undefined,
    onExit: new Set()
  }
  process.once("exit", (code, signal) => {
    child.exit = { code, signal }
    if (!Group.alive(pid)) Group.unregister(pid)
    child.output.processExited()
    child.stderr.processExited()
    for (const listener of child.onExit) listener()
    child.onExit.clear()
  })
  return child
}

const handle = (child: Child): RunningCli => {
  const { stdin } = child.process
  return {
    pid: child.pid,
    stdout: Effect.async((resume) => child.output.read((chunks) => resume(Effect.succeed(chunks)))),
    send: (text) =>
      Effect.async((resume) => {
        if (!stdin.writable) return resume(Effect.succeed(false))
        stdin.write(text, (error) => resume(Effect.succeed(error == null)))
      }),
    closeInput: Effect.sync(() => {
      stdin.end()
    }),
    interrupt: Effect.sync(() => {
      if (child.exit === undefined) Group.signal(child.pid, "SIGINT")
    }),
    exit: Effect.async((resume) => {
      if (child.exit !== undefined) return resume(Effect.succeed(child.exit))
      const listener = () => resume(Effect.succeed(child.exit!))
      child.onExit.add(listener)
      return Effect.sync(() => {
        child.onExit.delete(listener)
      })
    }),
    stderrTail: Effect.async((resume) => child.stderr.read((text) => resume(Effect.succeed(text))))
  }
}

/** Ends the process and its group, harder with every step, and gives its descriptors back. */
const close = (child: Child, { graces }: Invocation): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const done = () => {
      clearTimeout(timer)
      child.onExit.delete(done)
      Group.kill(child.pid)
      child.output.destroy()
      child.stderr.destroy()
      child.process.stdin.destroy()
      resume(Effect.void)
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    if (child.exit !== undefined) return done()
    const step = (signals: ReadonlyArray<readonly [NodeJS.Signals, number]>) => {
      const [next, ...rest] = signals
      if (next === undefined) return done()
      Group.signal(child.pid, next[0])
      timer = setTimeout(step, next[1], rest)
    }
    child.onExit.add(done)
    child.process.stdin.end()
    step([["SIGINT", graces.interrupt], ["SIGTERM", graces.terminate], ["SIGKILL", graces.kill]])
  })

const stderrTailBytes = 64 * 1024

const childEnvironment = (changes: Invocation["env"]): NodeJS.ProcessEnv => {
  const env = { ...process.env }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete env[name]
    else env[name] = value
  }
  return env
}
