// Control requests of the host: each gives the response, or [error_code, error].
import { lifecycle, system, user } from "./frames.mjs"
import { emit, quit } from "./output.mjs"
import { isObject } from "./script.mjs"
import { modelOf, MODELS, modern, queue, script, seen, state } from "./state.mjs"
import * as tasks from "./tasks.mjs"
import { abort } from "./turn.mjs"

const MODES = ["acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"]
/** Takes lines out of the queue. */
const cancel = (fits) => {
  const uuids = queue.filter(fits).flatMap(({ uuid }) => uuid ?? [])
  queue.splice(0, queue.length, ...queue.filter((line) => !fits(line)))
  lifecycle(uuids, "cancelled")
  return uuids
}
const server = ({ serverName }) =>
  state.servers.includes(serverName) ? {} : [undefined, `Server not found: ${serverName}`]
const rewind = ({ user_message_id, dry_run }) => {
  if (!process.env.CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING) return "File rewinding is not enabled."
  if (!seen.has(user_message_id)) return "No file checkpoint found for this message."
  return { canRewind: true, ...dry_run && { filesChanged: [], insertions: 0, deletions: 0 } }
}
const initialize = ({ sdkMcpServers = [] }) => {
  state.servers = sdkMcpServers
  return {
    commands: [{ name: "compact", description: "Shorten the conversation", argumentHint: "" }],
    agents: [{ name: "general-purpose", description: "Any task" }],
    output_style: "default",
    available_output_styles: ["default"],
    models: Object.keys(MODELS).map((value) => ({ value, resolvedModel: MODELS[value], displayName: value })),
    account: { tokenSource: "none", apiKeySource: "none", apiProvider: "firstParty" },
    pid: process.pid,
    ...modern() && {
      claude_code_version: script.version,
      current_permission_mode: state.mode,
      session_state: state.turn ? "running" : "idle",
      capabilities: ["interrupt_receipt_v1", "interrupt_cancel_queued_v1"]
    }
  }
}
const CONTROLS = {
  initialize,
  interrupt: ({ cancel_queued }) => {
    if (state.turn) abort(state.turn, "interrupt")
    else state.doomed = true
    const cancelled = cancel_queued ? cancel(() => true) : undefined
    return modern() ? { still_queued: queue.flatMap((line) => line.uuid ?? []), cancelled } : undefined
  },
  cancel_async_message: ({ message_uuid }) => {
    const cancelled = cancel(({ uuid }) => uuid === message_uuid).length > 0
    return cancelled ? { cancelled, message_uuid } : { cancelled }
  },
  set_model: ({ model }) => {
    if (typeof (model ?? "") !== "string") return ["invalid_request", "set_model: model must be a string"]
    state.model = modelOf(model ?? "default")
    const said = `<local-command-stdout>Set model to \`${state.model}\`</local-command-stdout>`
    if (state.results > 0) user(said, { isReplay: true })
    return { model: state.model }
  },
  set_permission_mode: ({ mode }) => {
    const refused = `Cannot set permission mode to ${mode}: not launched with --dangerously-skip-permissions`
    if (!MODES.includes(mode)) return ["invalid_mode", `Cannot set permission mode: must be one of ${MODES.join(", ")}`]
    if (mode === "bypassPermissions" && !state.mayBypass) return ["bypass_not_launched", refused]
    state.mode = mode
    return { mode }
  },
  set_max_thinking_tokens: () => undefined,
  mcp_status: () => ({
    mcpServers: state.servers.map((name) => ({ name, status: "connected", scope: "dynamic", source: "sdk" }))
  }),
  mcp_reconnect: server,
  mcp_toggle: server,
  stop_task: ({ task_id }) => {
    tasks.end(task_id, "killed")
    return {}
  },
  rewind_files: (request) => {
    const answer = rewind(request)
    return isObject(answer) ? answer : { canRewind: false, error: answer }
  },
  get_context_usage: () => ({ categories: [], totalTokens: 2e4, maxTokens: 1e6, rawMaxTokens: 1e6, percentage: 2 }),
  end_session: () => undefined
}
const AFTERWARDS = {
  set_permission_mode: () => system("status", { status: null, permissionMode: state.mode }),
  end_session: () => quit(0)
}

/** Does what the control request asks and answers it, with `more` in the response. */
export const respond = ({ request_id, request: { subtype, ...request } = {} }, more) => {
  const unsupported = () => ["unsupported_request", `Unsupported control request subtype: ${subtype}`]
  const given = (Object.hasOwn(CONTROLS, subtype) ? CONTROLS[subtype] : unsupported)(request)
  const [error_code, error] = Array.isArray(given) ? given : []
  const response = isObject(given) ? { ...given, ...more } : undefined
  const answer = error
    ? { subtype: "error", request_id, error, error_code }
    : { subtype: "success", request_id, response }
  emit({ type: "control_response", response: answer })
  if (!error) AFTERWARDS[subtype]?.()
}
