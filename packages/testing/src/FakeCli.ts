/**
 * A Claude Code CLI for tests, as a layer: scripted frame by frame, without a process, a network or real time.
 *
 * A process plays a list of turns; each begins when the program under test has sent a prompt. Delays run on the Effect
 * clock: under `TestClock` an hour takes no time. What the program sent is there to be asserted on.
 */
import type { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FakeProcess } from "./internal/fakeProcess.js"

/** A line of the CLI's output or input. */
export type Frame = { readonly type: string; readonly [field: string]: unknown }

/** One thing that the fake CLI does. Made by the functions of this module. */
export type Step =
  | { readonly _tag: "Emit"; readonly frame: Frame }
  | { readonly _tag: "Say"; readonly kind: "text" | "thinking"; readonly content: string; readonly deltas: number }
  | { readonly _tag: "Raw"; readonly bytes: Uint8Array }
  | { readonly _tag: "Stderr"; readonly text: string }
  | { readonly _tag: "Delay"; readonly duration: Duration.Duration }
  | { readonly _tag: "Ask"; readonly tool: string; readonly input: unknown }
  | { readonly _tag: "Exit"; readonly code: number | null; readonly signal: string | null }

export type Turn = ReadonlyArray<Step>

/** What one process does. */
export interface Script {
  readonly turns: ReadonlyArray<Turn>
  /** Played at once, before any prompt. */
  readonly start?: Turn | undefined
  /** Does not start, but fails with this. */
  readonly refuse?: CliNotFoundError | CliSpawnError | undefined
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
 * Every process plays the same turns; or what the function says for the first, the second, … process. A prompt for which
 * no turn is scripted is answered with an API error that says so.
 */
export const layer = (
  script: ReadonlyArray<Turn> | ((index: number, invocation: Invocation) => Script)
): Layer.Layer<CliProcess | FakeCli> =>
  Layer.effectContext(Effect.sync(() => {
    const processes: Array<FakeProcess> = []
    const scriptOf: (index: number, invocation: Invocation) => Script = typeof script === "function"
      ? script
      : () => ({ turns: script })
    return Context.make(CliProcess, {
      open: (invocation) =>
        Effect.scopeWith((scope) => {
          const given = scriptOf(processes.length, invocation)
          const process = new FakeProcess(processes.length + 1, invocation, given, scope)
          processes.push(process)
          return given.refuse === undefined
            ? Effect.as(Effect.addFinalizer(() => process.stop), process.running)
            : Effect.fail(given.refuse)
        })
    }).pipe(Context.add(FakeCli, {
      started: Effect.sync(() => processes.map((process) => process.seen)),
      prompts: Effect.sync(() => processes.flatMap((process) => process.prompts))
    }))
  }))

/** A whole turn: the start, the text, the result. */
export const answer = (content: string, options?: { readonly deltas?: number }): Turn => [
  init(),
  text(content, options),
  result({ result: content })
]

export const emit = (frame: Frame): Step => ({ _tag: "Emit", frame })

/** The frame that begins a turn. */
export const init = (fields: Readonly<Record<string, unknown>> = {}): Step =>
  emit({
    type: "system",
    subtype: "init",
    cwd: "/home/user/project",
    tools: ["Bash", "Read"],
    mcp_servers: [],
    model: "claude-fake",
    permissionMode: "default",
    slash_commands: [],
    apiKeySource: "none",
    claude_code_version: "2.1.330",
    output_style: "default",
    ...fields
  })

/** The model says something; `deltas` parts of it come first where the program asked for partial messages. */
export const text = (content: string, { deltas = 1 }: { readonly deltas?: number } = {}): Step => ({
  _tag: "Say",
  kind: "text",
  content,
  deltas
})

export const thinking = (content: string, { deltas = 1 }: { readonly deltas?: number } = {}): Step => ({
  _tag: "Say",
  kind: "thinking",
  content,
  deltas
})

export const toolUse = (id: string, tool: string, input: unknown): Step =>
  emit({
    type: "assistant",
    parent_tool_use_id: null,
    message: {
      id: `msg_${id}`,
      role: "assistant",
      model: "claude-fake",
      content: [{ type: "tool_use", id, name: tool, input }],
      stop_reason: null,
      usage: { input_tokens: 10, output_tokens: 1 }
    }
  })

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

/** The frame that ends a turn. */
export const result = (fields: Readonly<Record<string, unknown>> = {}): Step =>
  emit({
    type: "result",
    subtype: "success",
    is_error: false,
    result: "",
    stop_reason: "end_turn",
    terminal_reason: "completed",
    usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
    total_cost_usd: 0.001,
    modelUsage: { "claude-fake": { inputTokens: 10, outputTokens: 5, costUSD: 0.001 } },
    num_turns: 1,
    duration_ms: 1,
    permission_denials: [],
    ...fields
  })

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

/** Asks whether a tool may run, and goes on when it has been answered. */
export const askPermission = (tool: string, input: unknown): Step => ({ _tag: "Ask", tool, input })

/** Leaves at once, whatever was still to come. */
export const exit = (code: number): Step => ({ _tag: "Exit", code, signal: null })

/** Is ended by a signal. */
export const kill = (signal: string): Step => ({ _tag: "Exit", code: null, signal })
