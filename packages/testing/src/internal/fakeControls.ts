import * as Predicate from "effect/Predicate"
import type { Refused, Unanswered } from "../FakeCli.js"
import type { FakeDialogue } from "./fakeDialogue.js"
import type { FakeHost } from "./fakeHost.js"
import type { FakeTasks } from "./fakeTasks.js"
import { uuidsOf } from "./fakeTurn.js"

/** What the answers are made of. @internal */
export interface Answering {
  readonly dialogue: FakeDialogue
  readonly host: FakeHost
  readonly tasks: FakeTasks
  readonly checkpoints: boolean
}

type Request = Readonly<Record<string, unknown>>
type Control = (on: Answering, request: Request) => unknown

/** What the CLI answers to a request of the program: a response, or `Refused`. @internal */
export const respond = (on: Answering, subtype: string, request: Request): unknown =>
  Object.hasOwn(controls, subtype)
    ? controls[subtype]?.(on, request)
    : refused(`Unsupported control request subtype: ${subtype}`, "unsupported_request")

const refused = (error: string, code?: string): Refused => ({ _tag: "Refused", error, code })

/** @internal */
export const isRefused = (answer: unknown): answer is Refused => Predicate.isTagged(answer, "Refused")

/** @internal */
export const isUnanswered = (answer: unknown): answer is Unanswered => Predicate.isTagged(answer, "Unanswered")

const modes = ["acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"]

const models = [
  { value: "default", resolvedModel: "claude-fake", displayName: "Default", description: "The usual model" },
  { value: "haiku", resolvedModel: "claude-fake-haiku", displayName: "Haiku", description: "The quick one" }
]

const knownServer: Control = ({ host }, { serverName }) =>
  host.servers.includes(String(serverName)) ? {} : refused(`Server not found: ${serverName}`)

const controls: Readonly<Record<string, Control>> = {
  initialize: ({ dialogue: { session, turn }, host }, request) => {
    host.register(request)
    return {
      commands: [{ name: "clear", description: "Start a new conversation", argumentHint: "" }],
      agents: [{ name: "general-purpose", description: "Any task" }],
      output_style: "default",
      available_output_styles: ["default"],
      models,
      account: { subscriptionType: "Claude Max", apiProvider: "firstParty" },
      pid: session.pid,
      ...session.modern && {
        claude_code_version: session.version,
        current_permission_mode: session.mode,
        session_state: turn === undefined ? "idle" : "running",
        capabilities: ["interrupt_receipt_v1", "interrupt_cancel_queued_v1"]
      }
    }
  },
  interrupt: ({ dialogue, host, tasks }, { cancel_queued }) => {
    if (dialogue.turn === undefined) tasks.doom()
    if (dialogue.turn?.answered === false) host.withdraw()
    const { waiting } = dialogue
    if (!dialogue.session.modern) return undefined
    if (cancel_queued !== true) return { still_queued: uuidsOf(waiting) }
    dialogue.waiting = []
    dialogue.lifecycle(waiting, "cancelled")
    return { still_queued: [], cancelled: uuidsOf(waiting) }
  },
  cancel_async_message: ({ dialogue }, { message_uuid }) => {
    const found = dialogue.waiting.filter(({ uuid }) => uuid === message_uuid)
    dialogue.waiting = dialogue.waiting.filter(({ uuid }) => uuid !== message_uuid)
    dialogue.lifecycle(found, "cancelled")
    return found.length === 0 ? { cancelled: false } : { cancelled: true, message_uuid }
  },
  set_model: ({ dialogue }, { model = null }) => {
    if (model !== null && typeof model !== "string") {
      return refused("set_model: model must be a string", "invalid_request")
    }
    const { session } = dialogue
    const known = models.find(({ value }) => value === (model ?? "default"))
    session.model = known?.resolvedModel ?? model ?? "claude-fake"
    if (session.results > 0) {
      dialogue.print({
        type: "user",
        isReplay: true,
        parent_tool_use_id: null,
        message: {
          role: "user",
          content: `<local-command-stdout>Set model to \`${session.model}\`</local-command-stdout>`
        }
      })
    }
    return { model: session.model }
  },
  set_permission_mode: ({ dialogue: { session } }, { mode }) => {
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
  get_context_usage: () => ({
    categories: [
      { id: "system_prompt", name: "System prompt", tokens: 12_000, color: "promptBorder", kind: "used" },
      { id: "free_space", name: "Free space", tokens: 188_000, color: "promptBorder", kind: "free" }
    ],
    totalTokens: 12_000,
    maxTokens: 200_000,
    rawMaxTokens: 200_000,
    percentage: 6
  }),
  mcp_status: ({ host }) => ({
    mcpServers: host.servers.map((name) => ({
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
  stop_task: ({ tasks }, { task_id }) => {
    tasks.end(String(task_id), "killed")
    return {}
  },
  rewind_files: ({ checkpoints, dialogue }, { dry_run, user_message_id }) => {
    if (!checkpoints) return { canRewind: false, error: "File rewinding is not enabled." }
    if (!dialogue.session.knows(String(user_message_id))) {
      return { canRewind: false, error: "No file checkpoint found for this message." }
    }
    return { canRewind: true, ...dry_run === true && { filesChanged: [], insertions: 0, deletions: 0 } }
  },
  end_session: () => undefined
}
