// The lines it prints.
import { randomUUID } from "node:crypto"
import { rememberCost } from "./memory.mjs"
import { emit } from "./output.mjs"
import { flags, modern, queue, script, state } from "./state.mjs"

export const meta = () => ({ session_id: state.session, uuid: randomUUID() })
const stamp = () => ({ parent_tool_use_id: null, ...meta(), timestamp: new Date().toISOString() })
export const uuidsOf = ({ closed, uuids, folded }) =>
  uuids.length > 0 && !closed && modern() &&
  { user_message_uuid: uuids.at(-1), user_message_uuids: [...uuids, ...folded] }
/** The first line that the model says in a turn names the prompts that it answers. */
export const firstUuidsOf = (turn) => !turn.spoke && uuidsOf(turn)

export const system = (subtype, more) => emit({ type: "system", subtype, ...more, ...meta() })

let told = "idle"
export const sessionState = (to) => {
  if (process.env.CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS !== "1" || to === told) return
  told = to
  system("session_state_changed", { state: to })
}

export const lifecycle = (uuids, to) => {
  if (script.lifecycle === false || !modern()) return
  for (const uuid of uuids) emit({ type: "command_lifecycle", command_uuid: uuid, state: to, ...meta() })
}

export const init = (turn, more) =>
  system("init", {
    cwd: process.cwd(),
    original_cwd: process.cwd(),
    tools: ["Task", "Bash", "Edit", "Read", "Write"],
    model: state.model,
    permissionMode: state.mode,
    claude_code_version: script.version,
    output_style: "default",
    slash_commands: ["clear", "compact"],
    agents: ["general-purpose"],
    skills: [],
    plugins: [],
    mcp_servers: [],
    apiKeySource: "none",
    ...modern() && { capabilities: ["interrupt_receipt_v1", "msg_lifecycle_v1"] },
    user_message_uuids: uuidsOf(turn).user_message_uuids,
    ...more
  })

// Tokens and money: a message adds an entry to the ledger, a result bills what is new.
let ledger = []
let billed = 0
/** Goes on from what the conversation has cost so far: nothing, after `/clear`. */
export const openBooks = (spent) => {
  ledger = [...spent]
  billed = ledger.length
}
const inputOf = (turn) => 20 + Math.ceil(turn.prompt.length / 4)
const tokens = (input, output) => ({
  input_tokens: input,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: output
})
export const spend = (turn, said) => {
  const rate = (state.model.includes("haiku") ? 0.1 : state.model.includes("sonnet") ? 2 : 4) / 1e6
  const [input, output] = [inputOf(turn), Math.ceil(said.length / 4) || 1]
  const entry = { model: state.model, input, output, cost: (input + 5 * output) * rate }
  ledger.push(entry)
  rememberCost(entry)
  return output
}
const total = (entries, key) => entries.reduce((sum, entry) => sum + entry[key], 0)
const usageByModel = (entries) =>
  Object.fromEntries([...new Set(entries.map(({ model }) => model))].map((model) => {
    const own = entries.filter((entry) => entry.model === model)
    return [model, {
      inputTokens: total(own, "input"),
      outputTokens: total(own, "output"),
      cacheReadInputTokens: 0,
      cacheCreationInputTokens: 0,
      webSearchRequests: 0,
      contextWindow: 1e6,
      costUSD: total(own, "cost")
    }]
  }))

export const textBlock = (text) => ({ type: "text", text })
export const messageOf = (turn, id, content, more) => ({
  id,
  type: "message",
  role: "assistant",
  stop_reason: null,
  stop_sequence: null,
  model: state.model,
  content,
  usage: tokens(inputOf(turn), 1),
  ...more
})
export const assistant = (turn, message, more) => {
  replay(turn)
  const request_id = `req_fake_${++state.ids}`
  emit({ type: "assistant", message, ...stamp(), request_id, ...firstUuidsOf(turn), ...more })
  turn.spoke = true
}
export const user = (content, more) => emit({ type: "user", message: { role: "user", content }, ...stamp(), ...more })

/** Repeats the prompts when the model begins to answer them. */
export const replay = (turn) => {
  const lines = turn.echoes.splice(0)
  if (!flags.has("replay-user-messages")) return
  for (const { message, uuid } of lines) user(message.content, { isReplay: true, ...uuid && { uuid } })
}
/** Tells the end of the turn's prompts, once: what comes after the result is nobody's. */
export const closeTurn = (turn) => {
  if (turn.closed || turn.aside) return
  turn.closed = true
  if (turn.aborted || turn.failed) lifecycle([...turn.folded, ...turn.uuids], "cancelled")
  else lifecycle(turn.uuids, "completed")
  if (queue.length === 0) sessionState("idle")
}

export const result = (turn, more) => {
  const { subtype = "success", is_error = subtype !== "success" } = more
  if (!turn.closed) turn.failed = is_error && subtype !== "error_max_turns"
  if (!turn.aborted) {
    replay(turn)
    if (!turn.closed && !turn.failed) lifecycle(turn.folded, "completed")
  }
  const recent = ledger.slice(billed)
  billed = ledger.length
  emit({
    duration_api_ms: ledger.length,
    duration_ms: Date.now() - turn.began,
    ttft_ms: 1,
    ...meta(),
    total_cost_usd: total(ledger, "cost"),
    usage: tokens(total(recent, "input"), total(recent, "output")),
    modelUsage: usageByModel(ledger),
    stop_reason: "end_turn",
    terminal_reason: "completed",
    permission_denials: turn.denials,
    is_error,
    subtype,
    ...(subtype === "success" ? { api_error_status: null, result: turn.text } : { errors: [] }),
    type: "result",
    num_turns: 1 + turn.users,
    ...modern() && {
      queued_turn_count: 0,
      result_index: state.results,
      model_usage_since_last_result: usageByModel(recent)
    },
    ...uuidsOf(turn),
    ...turn.origin && { origin: turn.origin },
    ...more
  })
  closeTurn(turn)
}

const LOGIN = "authentication_failed"
const CATEGORY = { 400: "invalid_request", 401: LOGIN, 403: LOGIN, 404: "model_not_found", 429: "rate_limit" }
export const apiError = (turn, { status, type, message = "failed", category, apiError }) => {
  const text = apiError && status ? message : `API Error: ${status ? `${status} ` : ""}${message}`
  const http = status ? { api_error_status: status, api_error_type: type } : {}
  const facts = { ...http, ...(apiError && { api_error: apiError }) }
  const said = { model: "<synthetic>", stop_reason: "stop_sequence", stop_sequence: "", usage: tokens(0, 0) }
  const why = { error: category ?? CATEGORY[status] ?? "server_error", is_api_error_message: true, ...facts }
  assistant(turn, messageOf(turn, randomUUID(), [textBlock(text)], said), why)
  const terminal_reason = modern() ? "api_error" : "completed"
  result(turn, { is_error: true, result: text, stop_reason: "stop_sequence", terminal_reason, ...facts })
}
