import * as Effect from "effect/Effect"
import type { Frame, Step } from "../FakeCli.js"
import type { FakeDialogue } from "./fakeDialogue.js"
import type { FakeTurn } from "./fakeTurn.js"

/** A message of the model: in parts where the program asked for partial messages, and whole. @internal */
export const say = (
  dialogue: FakeDialogue,
  room: Effect.Effect<void>,
  turn: FakeTurn,
  { content, deltas, every, kind }: Extract<Step, { _tag: "Say" }>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { model, partial } = dialogue.session
    const saying = { id: dialogue.newId("msg"), kind, content: "" }
    const wait = every === undefined ? room : Effect.zipRight(room, Effect.sleep(every))
    const size = Math.max(1, Math.ceil(content.length / deltas))
    const pieces = Array.from(
      { length: Math.ceil(content.length / size) },
      (_, index) => content.slice(index * size, (index + 1) * size)
    )
    const begin = () => {
      turn.saying = saying
      if (!partial) return
      event(dialogue, saying.id, {
        type: "message_start",
        message: { id: saying.id, model, usage: { input_tokens: 10, output_tokens: 1 } }
      })
      event(dialogue, saying.id, {
        type: "content_block_start",
        index: 0,
        content_block: { type: kind, [kind]: "" }
      })
    }
    const add = (piece: string) => {
      saying.content += piece
      if (!partial) return
      event(dialogue, saying.id, {
        type: "content_block_delta",
        index: 0,
        delta: { type: `${kind}_delta`, [kind]: piece }
      })
    }
    const end = () => {
      turn.saying = undefined
      dialogue.assistant([{ type: kind, [kind]: content }], { message: saying.id })
      if (partial) endMessage(dialogue, saying.id, "end_turn")
    }
    begin()
    return Effect.zipRight(
      Effect.forEach(pieces, (piece) => Effect.zipRight(wait, Effect.sync(() => add(piece))), { discard: true }),
      Effect.sync(end)
    )
  })

/**
 * The frames that close a turn which was interrupted. A program that gives its prompts no uuids, and so has one turn to
 * attribute everything to, is spared the note of the interruption.
 *
 * @internal
 */
export const cutOff = (dialogue: FakeDialogue, turn: FakeTurn): void => {
  const { cut, saying, tools } = turn
  const { modern, partial } = dialogue.session
  const inTool = tools.size > 0 || cut === "deny"
  const silent = cut === "SIGINT" && tools.size > 0
  if (saying !== undefined && saying.content !== "") {
    dialogue.assistant([{ type: saying.kind, [saying.kind]: saying.content }], {
      message: saying.id,
      ...modern && { aborted: true }
    })
  }
  for (const id of tools.keys()) dialogue.toolResult(id, rejected, true)
  if (dialogue.session.named) {
    dialogue.print({
      type: "user",
      parent_tool_use_id: null,
      message: {
        role: "user",
        content: [{ type: "text", text: `[Request interrupted by user${inTool ? " for tool use" : ""}]` }]
      }
    })
  }
  if (saying !== undefined && partial && modern) endMessage(dialogue, saying.id, null)
  if (silent) return
  const stop_reason = inTool ? "tool_use" : null
  dialogue.result({
    subtype: "error_during_execution",
    is_error: true,
    result: undefined,
    errors: [`[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=${stop_reason}`],
    stop_reason,
    terminal_reason: inTool ? "aborted_tools" : "aborted_streaming",
    num_turns: inTool ? 3 : 2
  }, false)
}

const rejected = "The user doesn't want to proceed with this tool use."

const event = (dialogue: FakeDialogue, id: string, fields: Frame): void =>
  dialogue.print({ type: "stream_event", event: fields, parent_tool_use_id: null, api_message_id: id })

const endMessage = (dialogue: FakeDialogue, id: string, stop_reason: string | null): void => {
  event(dialogue, id, { type: "content_block_stop", index: 0 })
  event(dialogue, id, { type: "message_delta", delta: { stop_reason }, usage: { output_tokens: 5 } })
  event(dialogue, id, { type: "message_stop" })
}
