// What a turn waits in: generators that yield what is to be waited for, since the fakes wait in different ways.
import { blockOf } from "./dialogue.mjs"
/** @import { ApiFailure } from "../fakeFaults.js" */
/** @import { Dialogue } from "./dialogue.mjs" */
/** @import { Turn } from "./turn.mjs" */
/** @import { Answer, Fields, Saying } from "./types.js" */

/**
 * A message of the model: in parts where the program asked for partial messages, and whole. Yields before each part.
 * @param {Dialogue} dialogue
 * @param {{ readonly content: string, readonly deltas: number, readonly kind: Saying["kind"] }} step
 * @returns {Generator<void, void, void>}
 */
export function* say(dialogue, { content, deltas, kind }) {
  const id = dialogue.newId("msg")
  const saying = { id, kind, content: "" }
  const characters = Array.from(content)
  const size = Math.ceil(characters.length / deltas)
  dialogue.saying = saying
  dialogue.event(id, { type: "message_start", message: dialogue.message(id, []) }, { ttft_ms: 1 })
  dialogue.event(id, { type: "content_block_start", index: 0, content_block: blockOf(saying) })
  for (let at = 0; at < characters.length && deltas > 0; at += size) {
    yield
    const piece = characters.slice(at, at + size).join("")
    saying.content += piece
    const delta = { type: `${kind}_delta`, [kind]: piece }
    dialogue.event(id, { type: "content_block_delta", index: 0, delta })
  }
  dialogue.saying = undefined
  if (kind === "text") dialogue.said = content
  dialogue.assistant(id, [{ type: kind, [kind]: content }])
  dialogue.endMessage(id, "end_turn", dialogue.spend(content))
}

/**
 * Whether a tool may run. Yields the question, and takes the answer. A tool that is not `used` yet is called for it, and
 * its result repeats the input; the denial is the result of either.
 * @param {Dialogue} dialogue
 * @param {Turn} turn
 * @param {{ readonly tool: string, readonly input: unknown, readonly used?: string | undefined }} step
 * @returns {Generator<Fields, void, Answer>}
 */
export function* askPermission(dialogue, turn, { input, tool, used }) {
  const tool_use_id = used ?? dialogue.useTool(tool, input)
  dialogue.state("requires_action")
  const question = { subtype: "can_use_tool", tool_name: tool, display_name: tool, input, tool_use_id }
  const { error, response } = yield { ...question, permission_suggestions: [] }
  dialogue.state("running")
  if (error !== undefined || response["behavior"] !== "allow") {
    if (response["interrupt"] === true) {
      dialogue.questions.withdraw()
      turn.stop("deny")
    }
    dialogue.refuse(tool_use_id, error ?? String(response["message"] ?? "denied"))
  } else if (used === undefined) {
    dialogue.toolResult(tool_use_id, `allowed: ${JSON.stringify(response["updatedInput"] ?? input)}`)
  }
}

/**
 * What the CLI says in place of an answer that the API refused: a message of its own, and what the result tells of it.
 * @param {Omit<ApiFailure, "before">} failure
 */
export const refusal = ({ apiError, code, message, status, type }, id = "msg_error") => {
  const facts = {
    ...type !== undefined && { api_error_type: type },
    ...apiError !== undefined && { api_error: apiError }
  }
  return {
    assistant: {
      type: "assistant",
      parent_tool_use_id: null,
      error: code,
      is_api_error_message: true,
      ...status !== undefined && { api_error_status: status },
      ...facts,
      message: {
        id,
        role: "assistant",
        model: "<synthetic>",
        content: [{ type: "text", text: message }],
        stop_reason: "stop_sequence",
        usage: { input_tokens: 0, output_tokens: 0 }
      }
    },
    result: {
      is_error: true,
      result: message,
      api_error_status: status ?? null,
      ...facts,
      terminal_reason: "api_error",
      stop_reason: "stop_sequence",
      usage: { input_tokens: 0, output_tokens: 0, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }
    }
  }
}
