/**
 * A Claude Code CLI for tests, as a layer: scripted frame by frame, without a process, a network or real time.
 *
 * A process plays a list of turns; each begins when the program under test has sent a prompt. Around them it does what
 * the CLI was seen to do: session ids by its flags, cumulative cost, the life of every prompt with a `uuid`, prompts that
 * queue, coalesce or steer a running tool, interrupts, `/clear`, control requests. Delays run on the Effect clock: under
 * `TestClock` an hour takes no time. What the program sent is there to be asserted on.
 */
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FakeProcess } from "./internal/fakeProcess.js"
import type { FakeDisk } from "./internal/fakeSession.js"

/** A line of the CLI's output or input. */
export type Frame = { readonly type: string; readonly [field: string]: unknown }

/** One thing that the fake CLI does. Made by the functions of this module. */
export type Step =
  | { readonly _tag: "Emit"; readonly frame: Frame }
  | { readonly _tag: "Init"; readonly fields: Fields }
  | { readonly _tag: "Result"; readonly fields: Fields }
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
  | { readonly _tag: "Exit"; readonly code: number | null; readonly signal: string | null }

export type Turn = ReadonlyArray<Step>

type Fields = Readonly<Record<string, unknown>>

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
  /** By subtype: what control requests are answered, instead of what the CLI would do and answer. */
  readonly controls?: Readonly<Record<string, (request: Fields) => unknown>> | undefined
}

/** A fake CLI that was started, and what was written to it. */
export interface Started {
  readonly invocation: Invocation
  readonly sent: ReadonlyArray<Frame>
  readonly running: boolean
}

/** What the program under test did with its CLIs. */
export class FakeCli extends Context.Tag("@ccflow/testing/FakeCli")<FakeCli, {
  readonly started: Effect.Effect<ReadonlyArray<Started>>
  /** The prompts that all of them were sent, in order. */
  readonly prompts: Effect.Effect<ReadonlyArray<unknown>>
}>() {}

/**
 * Every process plays the same turns, or the same script; or what the function says for the first, the second, …
 * process. A prompt for which no turn is scripted is answered with an API error that says so.
 */
export const layer = (
  script: ReadonlyArray<Turn> | Script | ((index: number, invocation: Invocation) => Script)
): Layer.Layer<CliProcess | FakeCli> =>
  Layer.effectContext(Effect.sync(() => {
    const processes: Array<FakeProcess> = []
    const disk: FakeDisk = new Map()
    const scriptOf = (index: number, invocation: Invocation): Script =>
      typeof script === "function" ? script(index, invocation) : "length" in script ? { turns: script } : script
    return Context.make(CliProcess, {
      open: (invocation) =>
        Effect.scopeWith((scope) => {
          const given = scriptOf(processes.length, invocation)
          const process = new FakeProcess(processes.length + 1, invocation, given, scope, disk)
          processes.push(process)
          return given.refuse === undefined
            ? Effect.as(Effect.zipRight(Effect.addFinalizer(() => process.stop), process.start), process.running)
            : Effect.fail(given.refuse)
        })
    }).pipe(Context.add(FakeCli, {
      started: Effect.sync(() => processes.map((process) => process.seen)),
      prompts: Effect.sync(() => processes.flatMap((process) => process.prompts))
    }))
  }))

/** A whole turn: the start, the text, the result. */
export const answer = (content: string, saying?: Saying): Turn => [
  init(),
  text(content, saying),
  result({ result: content })
]

export const emit = (frame: Frame): Step => ({ _tag: "Emit", frame })

/** The frame that begins a turn. Model and permission mode are those of the process. */
export const init = (fields: Fields = {}): Step => ({ _tag: "Init", fields })

/** How a message of the model arrives. */
export interface Saying {
  /** Parts that come first where the program asked for partial messages. Default: 1. */
  readonly deltas?: number | undefined
  /** Waits so long before each part, so that an interrupt finds the message half said. */
  readonly every?: Duration.DurationInput | undefined
}

export const text = (content: string, saying: Saying = {}): Step => says("text", content, saying)

export const thinking = (content: string, saying: Saying = {}): Step => says("thinking", content, saying)

/** The model calls a tool, which runs until its `toolResult`: prompts that wait by then are taken into the turn. */
export const toolUse = (id: string, tool: string, input: unknown): Step => ({ _tag: "Use", id, tool, input })

/** Left out when the tool was denied, since the denial is its result. */
export const toolResult = (
  id: string,
  content: string,
  { isError = false }: { readonly isError?: boolean } = {}
): Step =>
  emit({
    type: "user",
    parent_tool_use_id: null,
    message: { role: "user", content: [{ type: "tool_result", tool_use_id: id, content, is_error: isError }] }
  })

/** The frame that ends a turn. Its cost is added to that of the turns before, unless it says `total_cost_usd`. */
export const result = (fields: Fields = {}): Step => ({ _tag: "Result", fields })

/** A turn that the API refused, as the CLI tells it. */
export const apiError = (
  error: { readonly status: number; readonly code: string; readonly type: string; readonly message: string }
): Turn => [
  init(),
  emit({
    type: "assistant",
    parent_tool_use_id: null,
    error: error.code,
    is_api_error_message: true,
    api_error_status: error.status,
    api_error_type: error.type,
    message: {
      id: "msg_error",
      role: "assistant",
      model: "<synthetic>",
      content: [{ type: "text", text: error.message }],
      stop_reason: "stop_sequence",
      usage: { input_tokens: 0, output_tokens: 0 }
    }
  }),
  result({
    is_error: true,
    result: error.message,
    api_error_status: error.status,
    api_error_type: error.type,
    terminal_reason: "api_error",
    stop_reason: "stop_sequence"
  })
]

/** Bytes on stdout that need not be a frame, or a line. */
export const raw = (bytes: string | Uint8Array): Step => ({
  _tag: "Raw",
  bytes: typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes
})

export const stderr = (content: string): Step => ({ _tag: "Stderr", text: content })

export const delay = (duration: Duration.DurationInput): Step => ({
  _tag: "Delay",
  duration: Duration.decode(duration)
})

/** Says nothing more, for ever. */
export const hang: Step = delay(Duration.infinity)

/**
 * Asks whether a tool may run, and waits for the answer. Behind a `toolUse` of that tool the turn goes on when it is
 * allowed; alone it is the whole tool call, whose result repeats the input. Denied, the tool's result says why.
 */
export const askPermission = (tool: string, input: unknown): Step => ({ _tag: "Ask", tool, input })

/**
 * Calls the hooks that `initialize` registered for the event, and obeys: a denial is the result of the running tool that
 * `tool_name` names, a blocked prompt or `continue: false` ends the turn.
 */
export const askHook = (event: string, input: Fields = {}): Step => ({ _tag: "Hook", event, input })

/** Calls a tool of an MCP server that the program serves: the tool call, the handshake if it is the first, the result. */
export const callTool = (server: string, tool: string, input: unknown): Step => ({ _tag: "Call", server, tool, input })

/**
 * Starts background work. When it ends, after the time or else with the turn, the CLI tells its model in a turn of its
 * own, which these steps are.
 */
export const background = (steps: Turn, { after }: { readonly after?: Duration.DurationInput } = {}): Step => ({
  _tag: "Background",
  steps,
  after: after === undefined ? undefined : Duration.decode(after)
})

/** Leaves at once, whatever was still to come. */
export const exit = (code: number): Step => ({ _tag: "Exit", code, signal: null })

/** Is ended by a signal. */
export const kill = (signal: string): Step => ({ _tag: "Exit", code: null, signal })

/** What a resumed process says of a session that it does not find. For `start`. */
export const sessionNotFound = (sessionId: string): Turn => {
  const why = `No conversation found with session ID: ${sessionId}`
  return [
    stderr(`${why}\n`),
    result({
      subtype: "error_during_execution",
      is_error: true,
      result: undefined,
      errors: [why],
      num_turns: 0,
      total_cost_usd: 0,
      modelUsage: {},
      session_id: sessionId,
      terminal_reason: undefined
    }),
    exit(1)
  ]
}

/** What a control request may be refused with. */
export interface Refused {
  readonly _tag: "Refused"
  readonly error: string
  readonly code: string | undefined
}

/** For `controls`: an error, as the CLI answers it. */
export const refused = (error: string, code?: string): Refused => ({ _tag: "Refused", error, code })

export interface Unanswered {
  readonly _tag: "Unanswered"
}

/** For `controls`: no answer, ever. */
export const unanswered: Unanswered = { _tag: "Unanswered" }

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const says = (kind: "text" | "thinking", content: string, { deltas = 1, every }: Saying): Step => ({
  _tag: "Say",
  kind,
  content,
  deltas,
  every: every === undefined ? undefined : Duration.decode(every)
})
