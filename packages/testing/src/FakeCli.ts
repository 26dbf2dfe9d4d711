/**
 * A Claude Code CLI for tests, as a layer: scripted frame by frame, without a process, a network or real time.
 *
 * A process plays a list of turns; each begins when the program under test has sent a prompt. Around them it does what
 * the CLI was seen to do: session ids by its flags, cumulative cost, the life of every prompt with a `uuid`, prompts that
 * queue, coalesce or steer a running tool, interrupts, `/clear`, control requests.
 * Delays run on the Effect clock: under `TestClock` an hour takes no time. What the program sent is there to be asserted on.
 */
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FakeProcess, nextPid } from "./internal/fakeProcess.js"
import type { FakeDisk } from "./internal/fakeSession.js"
import type { Fields } from "./internal/protocol/types.js"

export * from "./internal/fakeFaults.js"
export * from "./internal/fakeSteps.js"

/** A line of the CLI's output or input. */
export type Frame = { readonly type: string; readonly [field: string]: unknown }

/** One thing that the fake CLI does. Made by the functions of this module. */
export type Step =
  | { readonly _tag: "Emit"; readonly frame: Frame }
  | { readonly _tag: "Init"; readonly fields: Fields }
  | { readonly _tag: "Result"; readonly fields: Fields; readonly billed: boolean }
  | {
    readonly _tag: "Say"
    readonly kind: "text" | "thinking"
    readonly content: string
    readonly deltas: number
    readonly every: Duration.Duration | undefined
  }
  | { readonly _tag: "Use"; readonly id: string; readonly tool: string; readonly input: unknown }
  | { readonly _tag: "Raw"; readonly bytes: Uint8Array }
  | { readonly _tag: "Stderr"; readonly text: string }
  | { readonly _tag: "Delay"; readonly duration: Duration.Duration }
  | { readonly _tag: "Ask"; readonly tool: string; readonly input: unknown }
  | { readonly _tag: "Hook"; readonly event: string; readonly input: Fields }
  | { readonly _tag: "Call"; readonly server: string; readonly tool: string; readonly input: unknown }
  | { readonly _tag: "Background"; readonly steps: Turn; readonly after: Duration.Duration | undefined }
  | { readonly _tag: "CrashAfter"; readonly frames: number; readonly exit: Exit }
  | Exit

/** How a process ends. */
export interface Exit {
  readonly _tag: "Exit"
  readonly code: number | null
  readonly signal: string | null
}

export type Turn = ReadonlyArray<Step>

/** The versions whose ways are known. The older one tells less: no `command_lifecycle`, no `user_message_uuids`. */
export type Version = "2.1.330" | "2.1.197"

/** What one process does. */
export interface Script {
  readonly turns?: ReadonlyArray<Turn> | undefined
  /** For prompts beyond `turns`: prompts that became one turn are one text, with empty lines between. */
  readonly respond?: ((prompt: string, index: number) => Turn) | undefined
  /** Played at once, before any prompt. */
  readonly start?: Turn | undefined
  /** Does not start, but fails with this. */
  readonly refuse?: CliNotFoundError | CliSpawnError | undefined
  /** Default: 2.1.330. */
  readonly version?: Version | undefined
  /** For a reader that is slow: prints no more while so many bytes are unread. A pipe holds 65536. Default: no bound. */
  readonly pipeBytes?: number | undefined
  /** By subtype: what control requests are answered, instead of what the CLI would do and answer. */
  readonly controls?: Readonly<Record<string, (request: Fields) => unknown>> | undefined
}

/** Turns for prompts of whatever process. Made by `sequence`. */
export interface Sequence {
  readonly _tag: "Sequence"
  readonly turns: ReadonlyArray<Turn>
}

/**
 * Every process plays the same turns, or the same script; or what the function says for the first, the second, …
 * process; or all of them share one sequence. A prompt for which no turn is scripted is answered with an API error that
 * says so.
 */
export type Plays = ReadonlyArray<Turn> | Script | Sequence | ((index: number, invocation: Invocation) => Script)

/** What the program answered to a question of the CLI. */
export interface Reply {
  readonly to: "permission" | "hook" | "tool"
  /** Of the tool, or the hook's event. A tool that the program serves has its whole name: `mcp__shop__price`. */
  readonly name: string
  readonly input: unknown
  /**
   * As it was sent, without the id of the tool: `{ behavior: "deny", message }`, the hook's output, the tool's
   * `{ content }`; `{ error }` where it failed.
   */
  readonly answer: unknown
}

/** A fake CLI that was started, what it was started with, and what was written to it until now. */
export interface Started {
  readonly invocation: Invocation
  /**
   * By name, without dashes: `true` for one without a value, a list for one that was given more than once. What is given
   * in a file is here with what the file holds.
   */
  readonly flags: Readonly<Record<string, string | true | ReadonlyArray<string>>>
  /** Changes to the host's environment; `undefined` drops a variable. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly prompts: ReadonlyArray<unknown>
  /** To what the CLI asked: permissions, hooks, tools. */
  readonly replies: ReadonlyArray<Reply>
  /** Control requests, such as `{ subtype: "initialize", … }` or `set_model`. */
  readonly requests: ReadonlyArray<Fields>
  /** By request and by SIGINT. */
  readonly interrupts: number
  /** Every frame. */
  readonly sent: ReadonlyArray<Frame>
  /** How many frames it has printed, read or not. */
  readonly printed: number
  readonly running: boolean
}

/** What the program under test did with its CLIs. */
export interface FakeCliService {
  readonly started: Effect.Effect<ReadonlyArray<Started>>
  /** The only one that was started. Dies where there are none or several, and says which. */
  readonly only: Effect.Effect<Started>
  /** The prompts that all of them were sent, in order. */
  readonly prompts: Effect.Effect<ReadonlyArray<unknown>>
}

export class FakeCli extends Context.Tag("@ccflow/testing/FakeCli")<FakeCli, FakeCliService>() {}

export const make = (plays: Plays): Effect.Effect<Context.Context<CliProcess | FakeCli>> =>
  Effect.sync(() => {
    const processes: Array<FakeProcess> = []
    const disk: FakeDisk = new Map()
    const scriptOf = scripts(plays)
    const started = Effect.sync(() => processes.map((process) => process.seen))
    return Context.make(CliProcess, {
      open: (invocation) =>
        Effect.scopeWith((scope) => {
          const given = scriptOf(processes.length, invocation)
          const process = new FakeProcess(nextPid(), invocation, given, scope, disk)
          processes.push(process)
          return given.refuse === undefined
            ? Effect.as(Effect.zipRight(Effect.addFinalizer(() => process.stop), process.playNext), process.running)
            : Effect.fail(given.refuse)
        })
    }).pipe(Context.add(FakeCli, {
      started,
      only: Effect.flatMap(started, onlyOne),
      prompts: Effect.map(started, (all) => all.flatMap(({ prompts }) => prompts))
    }))
  })

export const layer = (plays: Plays): Layer.Layer<CliProcess | FakeCli> => Layer.effectContext(make(plays))

// ---------------------------------------------------------------------------

const scripts = (plays: Plays): (index: number, invocation: Invocation) => Script => {
  if (typeof plays === "function") return plays
  if ("length" in plays) return () => ({ turns: plays })
  if (!("_tag" in plays)) return () => plays
  let prompts = 0
  return () => ({ respond: () => plays.turns[Math.min(prompts++, plays.turns.length - 1)] ?? [] })
}

const onlyOne = (started: ReadonlyArray<Started>): Effect.Effect<Started> => {
  const [only, ...others] = started
  if (only !== undefined && others.length === 0) return Effect.succeed(only)
  const lines = started.map(({ invocation: { args }, prompts }, index) =>
    `\n${index + 1}: ${prompts.map((prompt) => JSON.stringify(prompt)).join(", ") || "no prompt"} (${args.join(" ")})`
  )
  return Effect.dieMessage(`${started.length} fake CLIs were started, and not one${lines.join("")}`)
}
