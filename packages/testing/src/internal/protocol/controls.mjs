// Control requests of the program.
import { fieldsOf, uuidsOf } from "./turn.mjs"
/** @import { Refused } from "../../FakeCli.js" */
/** @import { Dialogue } from "./dialogue.mjs" */
/** @import { Fields } from "./types.js" */

/** @typedef {(dialogue: Dialogue, request: Fields) => unknown} Control What the answer is: a response, or `Refused`. */

/** What the CLI answers to a request of the program. @type {Control} */
export const respond = (dialogue, { subtype, ...request }) =>
  Object.hasOwn(controls, String(subtype))
    ? controls[String(subtype)]?.(dialogue, request)
    : refused(`Unsupported control request subtype: ${subtype}`, "unsupported_request")

/** @type {(answer: unknown) => answer is Refused} */
export const isRefused = (answer) => fieldsOf(answer)["_tag"] === "Refused"

/** @type {(dialogue: Dialogue, request_id: unknown, answer: unknown) => void} */
export const reply = (dialogue, request_id, answer) =>
  dialogue.line({
    type: "control_response",
    response: isRefused(answer)
      ? { subtype: "error", request_id, error: answer.error, error_code: answer.code }
      : { subtype: "success", request_id, response: answer }
  })

/** @type {(error: string, code?: string) => Refused} */
const refused = (error, code) => ({ _tag: "Refused", error, code })

const modes = ["acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"]

/** @type {Control} */
const knownServer = ({ servers }, { serverName }) =>
  servers.includes(String(serverName)) ? {} : refused(`Server not found: ${serverName}`)

/** @type {Readonly<Record<string, Control>>} */
const controls = {
  initialize: (dialogue, request) => {
    const { session, turn } = dialogue
    dialogue.registered = request
    return {
      commands: [{ name: "clear", description: "Start a new conversation", argumentHint: "" }],
      agents: [{ name: "general-purpose", description: "Any task" }],
      output_style: "default",
      available_output_styles: ["default"],
      models: session.models,
      account: session.account,
      pid: session.pid,
      ...session.modern && {
        claude_code_version: session.version,
        current_permission_mode: session.mode,
        session_state: turn === undefined ? "idle" : "running",
        capabilities: ["interrupt_receipt_v1", "interrupt_cancel_queued_v1"]
      }
    }
  },
  interrupt: (dialogue, { cancel_queued }) => {
    if (dialogue.turn === undefined) dialogue.tasks.doom()
    dialogue.questions.withdraw()
    const cancelled = cancel_queued === true ? dialogue.cancel(() => true) : undefined
    return dialogue.session.modern ? { still_queued: uuidsOf(dialogue.waiting), cancelled } : undefined
  },
  cancel_async_message: (dialogue, { message_uuid }) =>
    dialogue.cancel(({ uuid }) => uuid !== undefined && uuid === message_uuid).length === 0
      ? { cancelled: false }
      : { cancelled: true, message_uuid },
  set_model: (dialogue, { model }) => {
    if (typeof (model ?? "") !== "string") return refused("set_model: model must be a string", "invalid_request")
    const { models, results } = dialogue.session
    const name = String(model ?? "default")
    dialogue.session.model = models.find(({ value }) => value === name)?.resolvedModel ?? name
    const said = `<local-command-stdout>Set model to \`${dialogue.session.model}\`</local-command-stdout>`
    if (results > 0) dialogue.user(said, { isReplay: true })
    return { model: dialogue.session.model }
  },
  set_permission_mode: ({ session }, { mode }) => {
    if (typeof mode !== "string" || !modes.includes(mode)) {
      return refused(`Cannot set permission mode: must be one of ${modes.join(", ")}`, "invalid_mode")
    }
    if (mode === "bypassPermissions" && !session.mayBypass) {
      return refused(
        `Cannot set permission mode to ${mode}: not launched with --dangerously-skip-permissions`,
        "bypass_not_launched"
      )
    }
    session.mode = mode
    return { mode }
  },
  set_max_thinking_tokens: () => undefined,
  get_context_usage: ({ session: { contextWindow } }) => ({
    categories: [
      { id: "system_prompt", name: "System prompt", tokens: prelude, color: "promptBorder", kind: "used" },
      { id: "free_space", name: "Free space", tokens: contextWindow - prelude, color: "promptBorder", kind: "free" }
    ],
    totalTokens: prelude,
    maxTokens: contextWindow,
    rawMaxTokens: contextWindow,
    percentage: Math.round(100 * prelude / contextWindow)
  }),
  mcp_status: ({ servers }) => ({
    mcpServers: servers.map((name) => ({
      name,
      status: "connected",
      serverInfo: { name, version: "1.0.0" },
      transport: "sdk",
      scope: "dynamic",
      source: "sdk"
    }))
  }),
  mcp_reconnect: knownServer,
  mcp_toggle: knownServer,
  stop_task: (dialogue, { task_id }) => {
    dialogue.tasks.end(String(task_id), "killed")
    return {}
  },
  rewind_files: (dialogue, { dry_run, user_message_id }) => {
    if (!dialogue.session.keepsFiles) return { canRewind: false, error: "File rewinding is not enabled." }
    return dialogue.hasHeard(user_message_id)
      ? { canRewind: true, ...dry_run === true && { filesChanged: [], insertions: 0, deletions: 0 } }
      : { canRewind: false, error: "No file checkpoint found for this message." }
  },
  end_session: () => undefined
}

/** Tokens of what stands before the first prompt. */
const prelude = 12_000
