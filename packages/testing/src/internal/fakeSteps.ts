/** What turns are made of. */
import * as Duration from "effect/Duration"
import type { Exit, Frame, Step, Turn } from "../FakeCli.js"
import type { Fields } from "./protocol/types.js"

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
export const result = (fields: Fields = {}): Step => ({ _tag: "Result", fields, billed: true })

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
export const exit = (code: number): Exit => ({ _tag: "Exit", code, signal: null })

/** Is ended by a signal. */
export const kill = (signal: string): Exit => ({ _tag: "Exit", code: null, signal })

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

const says = (kind: "text" | "thinking", content: string, { deltas = 1, every }: Saying): Step => ({
  _tag: "Say",
  kind,
  content,
  deltas,
  every: every === undefined ? undefined : Duration.decode(every)
})
