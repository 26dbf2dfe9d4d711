/**
 * The port to a running Claude Code CLI. It has one primitive, `open`; everything else is built on it, so that a test
 * double, a container or a remote machine has one function to provide.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CliNotFoundError, CliSpawnError } from "./ClaudeError.js"

/** How to start a CLI: a value, made by `AgentOptions.toInvocation`, that holds no prompt. */
export interface Invocation {
  /** A path, or a name to look up on the child's `PATH`. */
  readonly command: string
  /** Every valued flag is one `--flag=value` token. */
  readonly args: ReadonlyArray<string>
  /** Left out: the host's working directory. */
  readonly cwd?: string | undefined
  /** Changes to the host's environment, read when the process starts: a string sets a variable, `undefined` drops it. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Values that must not be seen in the process list, or are too long for it. */
  readonly files: ReadonlyArray<InvocationFile>
  readonly graces: Graces
}

/** Given to the CLI as `<flag>=<path>` of a file with mode 0600, which is gone when the scope has closed. */
export interface InvocationFile {
  readonly flag: string
  readonly content: string
}

/** How long closing waits, in milliseconds, after each step before the next and harder one. */
export interface Graces {
  /** After SIGINT. The CLI was seen to leave 8 to 54 ms after one. */
  readonly interrupt: number
  /** After SIGTERM. The CLI was seen to leave within 1,700 ms, also with background work. */
  readonly terminate: number
  /** After SIGKILL, for the operating system to reap the process. */
  readonly kill: number
}

/** Sums to 5 seconds: the longest that closing a scope can take. */
export const defaultGraces: Graces = { interrupt: 2000, terminate: 2000, kill: 1000 }

/** How the process ended. One of the two is set. */
export interface CliExit {
  readonly code: number | null
  readonly signal: string | null
}

/** A started CLI, owned by a scope. Closing the scope ends the process and its group, within the sum of the graces. */
export interface RunningCli {
  readonly pid: number
  /** One read: all the bytes that have come since the last one. Empty when the output has ended. */
  readonly stdout: Effect.Effect<ReadonlyArray<Uint8Array>>
  /** Writes text and waits until the CLI has taken it. `false` when it no longer reads its input. */
  readonly send: (text: string) => Effect.Effect<boolean>
  /** Ends the CLI's input, which asks it to finish the turn it is in and leave. */
  readonly closeInput: Effect.Effect<void>
  /** SIGINT: ends the running turn with a result, after which the CLI leaves. */
  readonly interrupt: Effect.Effect<void>
  readonly exit: Effect.Effect<CliExit>
  /** The last 64 KiB of stderr. */
  readonly stderrTail: Effect.Effect<string>
  /** Bytes of memory that the process holds, where that can be told. */
  readonly memory?: Effect.Effect<number | undefined> | undefined
}

/** The service that starts CLIs. */
export class CliProcess extends Context.Tag("@ccflow/core/CliProcess")<CliProcess, {
  readonly open: (invocation: Invocation) => Effect.Effect<RunningCli, CliNotFoundError | CliSpawnError, Scope.Scope>
}>() {}

/**
 * The same service, started in another way: behind a wrapper command, with other variables, from another folder. What it
 * promises of processes stays true of the wrapper, and of the CLI where the wrapper becomes it or passes signals and the
 * end of the input on. The paths of `files` come behind the changed arguments. Values of variables do not belong in `args`:
 * all users of a machine can read those.
 */
export const mapInvocation =
  (change: (invocation: Invocation) => Invocation) =>
  <E, R>(layer: Layer.Layer<CliProcess, E, R>): Layer.Layer<CliProcess, E, R> =>
    Layer.map(layer, (context) => {
      const { open } = Context.get(context, CliProcess)
      return Context.make(CliProcess, { open: (invocation) => Effect.suspend(() => open(change(invocation))) })
    })
