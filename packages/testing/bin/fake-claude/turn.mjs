// A turn: what it says and asks, and how it is stopped.
import { randomUUID } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import * as frames from "./frames.mjs"
import { rememberLines } from "./memory.mjs"
import { emit, out } from "./output.mjs"
import { flags, modern, pending, queue, state } from "./state.mjs"

const { assistant, lifecycle, messageOf, meta, result, sessionState, spend, system, textBlock, user } = frames

/** What a stopped turn fails with. */
export const ABORTED = Symbol("aborted")

export const promptOf = ({ message: { content } }) =>
  typeof content === "string" ? content : (content ?? []).map((block) => block?.text ?? "").join("\n")
export const newTurn = (lines, more) => {
  const [prompt, uuids] = [lines.map(promptOf).join("\n\n"), lines.flatMap((line) => line.uuid ?? [])]
  const done = { text: "", users: 0, denials: [], tools: new Map(), folded: [] }
  const turn = { prompt, uuids, lines, echoes: [...lines], began: Date.now(), index: state.turns, n: 0 }
  Object.assign(turn, done, more)
  turn.stopped = new Promise((_, reject) => Object.assign(turn, { stop: () => reject(ABORTED) }))
  turn.stopped.catch(() => {})
  return turn
}
/** For steps that run beside the turns; their placeholders are those of the turn that runs. */
export const aside = (more) => newTurn(state.turn?.lines ?? [], { aside: true, echoes: [], ...more })

export const race = (turn, promise) => promise && Promise.race([promise, turn.stopped])

export const abort = (turn, how) => {
  for (const [id, asked] of pending) if (asked.turn === turn) emit({ type: "control_cancel_request", request_id: id })
  Object.assign(turn, { aborted: how }).stop()
}

export const say = async (turn, { text, deltas = 3, deltaDelay = 0 }) => {
  const [id, partial, chars] = [`msg_fake_${++state.ids}`, flags.has("include-partial-messages"), Array.from(text)]
  const event = (type, more, api) => {
    const around = { parent_tool_use_id: null, ...meta(), ...api, api_message_id: id }
    if (partial) emit({ type: "stream_event", event: { type, ...more }, ...around })
  }
  const close = (stop_reason, output_tokens, api) => {
    event("content_block_stop", { index: 0 })
    event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } })
    event("message_stop", {}, api)
  }
  const { user_message_uuids } = frames.uuidsOf(turn)
  if (partial) system("status", { status: "requesting", user_message_uuids })
  if (partial && modern()) frames.replay(turn)
  event("message_start", { message: messageOf(turn, id, []) }, { ttft_ms: 1, ...frames.firstUuidsOf(turn) })
  event("content_block_start", { index: 0, content_block: textBlock("") })
  turn.open = { id, text: "", close }
  for (let at = 0, size = Math.ceil(chars.length / deltas); at < chars.length && deltas > 0; at += size) {
    if (deltaDelay > 0) await race(turn, sleep(deltaDelay))
    const piece = chars.slice(at, at + size).join("")
    event("content_block_delta", { index: 0, delta: { type: "text_delta", text: piece } })
    turn.open.text += piece
    await race(turn, out.flush())
  }
  assistant(turn, messageOf(turn, id, [textBlock(text)]))
  close("end_turn", spend(turn, text))
  Object.assign(turn, { open: undefined, text })
}

/** What a host that has closed stdin is taken to answer. */
export const CLOSED = { subtype: "error", error: "Tool permission stream closed before response received" }
export const ask = async (turn, request) => {
  const id = randomUUID()
  emit({ type: "control_request", request_id: id, request })
  const answered = new Promise((tell) => state.eof ? tell(CLOSED) : pending.set(id, { tell, turn }))
  return race(turn, answered).finally(() => pending.delete(id))
}

export const isClear = (line) => promptOf(line).trim() === "/clear"
/** Prompts that wait when a tool has ended join the turn. */
const fold = (turn) => {
  const lines = queue.filter((line) => !isClear(line))
  const uuids = lines.flatMap(({ uuid }) => uuid ?? [])
  queue.splice(0, queue.length, ...queue.filter(isClear))
  if (lines.length === 0) return
  rememberLines(lines)
  turn.echoes.push(...lines)
  frames.replay(turn)
  turn.folded.push(...uuids)
  lifecycle(uuids, "started")
}
const useTool = (turn, name, input) => {
  const id = `toolu_fake_${++state.ids}`
  assistant(turn, messageOf(turn, `msg_fake_${state.ids}`, [{ type: "tool_use", id, name, input }]))
  turn.tools.set(id, { tool_name: name, tool_use_id: id, tool_input: input })
  spend(turn, JSON.stringify(input))
  return id
}
const toolResult = (turn, id, content, is_error) => {
  turn.tools.delete(id)
  turn.users++
  user([{ type: "tool_result", content, is_error, tool_use_id: id }], { tool_use_result: content })
  if (!turn.aborted && turn.tools.size === 0) fold(turn)
}
const denied = (turn, id, why) => {
  turn.denials.push(turn.tools.get(id))
  toolResult(turn, id, why, true)
}
/** A tool call, during which `meanwhile` happens. */
export const runTool = async (turn, { name, input = {}, ms = 0, result: content = "", isError = false }, meanwhile) => {
  const id = useTool(turn, name, input)
  await meanwhile()
  await race(turn, sleep(ms))
  toolResult(turn, id, content, isError)
}
export const askPermission = async (turn, { tool, input }) => {
  const [id, tool_name] = [useTool(turn, tool, input), tool]
  const asked = { tool_name, display_name: tool, input, permission_suggestions: [], tool_use_id: id }
  sessionState("requires_action")
  const { response, error } = await ask(turn, { subtype: "can_use_tool", ...asked })
  sessionState("running")
  const { behavior, updatedInput = input, message = "denied", interrupt } = response ?? { message: error }
  if (behavior !== "allow" && interrupt === true) abort(turn, "deny")
  if (behavior === "allow") toolResult(turn, id, `allowed: ${JSON.stringify(updatedInput)}`, false)
  else denied(turn, id, message)
}

/** The lines that close a stopped turn. */
export const endAborted = (turn) => {
  const { open, tools, aborted } = turn
  const [inTool, silent] = [tools.size > 0 || aborted === "deny", aborted === "SIGINT" && tools.size > 0]
  const mark = modern() && { aborted: true }
  if (open?.text) assistant(turn, messageOf(turn, open.id, [textBlock(open.text)]), mark)
  for (const id of [...tools.keys()]) denied(turn, id, "Interrupted before it ran")
  if (!state.answered) user([textBlock(`[Request interrupted by user${inTool ? " for tool use" : ""}]`)])
  if (modern()) open?.close(null, 1, { abandoned_blocks: { api_message_id: open.id, from_block_index: 1 } })
  const [stop_reason, terminal_reason] = inTool ? ["tool_use", "aborted_tools"] : [null, "aborted_streaming"]
  const errors = [`[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=${stop_reason}`]
  const why = { subtype: "error_during_execution", errors, stop_reason, terminal_reason, num_turns: 2 + turn.users }
  if (!state.answered && !silent) result(turn, why)
}
