/** Which control requests a version answers, found out by asking: each with a body that changes nothing outside the sandbox. */
import { isRecord } from "effect/Predicate"
import { text } from "../../test/support/MessagesApi.js"
import { type Conversation, drive, type Frame, type Scenario } from "../record/drive.js"
import { type Fields, fieldsOf, sorted } from "./fields.js"
import { parseLine, type RecordedRun } from "./shape.js"

const uuid = "00000000-0000-4000-8000-000000000001"

/**
 * In this order. Those that reach beyond the CLI's own machine (a cloud session, feedback, a login, remote control) are not
 * asked; a version that declares them is known by that.
 */
const requests: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  no_such_request: {},
  get_context_usage: {},
  mcp_status: {},
  get_session_cost: {},
  get_settings: {},
  get_usage: { skip_behaviors: true },
  get_binary_version: {},
  list_models: {},
  list_permission_rules: {},
  get_hooks_listing: {},
  get_status: {},
  get_plan: {},
  get_workspace_diff: {},
  get_memory_dialog: {},
  get_skills_dialog: {},
  get_sandbox_dialog: {},
  reload_skills: {},
  reload_plugins: {},
  reload_output_styles: {},
  background_tasks: {},
  interrupt: {},
  set_model: { model: "haiku" },
  set_permission_mode: { mode: "acceptEdits" },
  set_max_thinking_tokens: { max_thinking_tokens: 1024 },
  set_mcp_permission_mode_override: { serverName: "nope", mode: null },
  set_prompt_suggestions_paused: { paused: true },
  set_color: { color: "red" },
  set_has_subscribers: { has_subscribers: true },
  set_proactivity_level: {},
  rewind_files: { user_message_id: uuid, dry_run: true },
  rewind_conversation: {},
  fork_conversation: {},
  cancel_async_message: { message_uuid: uuid },
  stop_task: { task_id: "nope" },
  get_task_output: { task_id: "nope" },
  read_file: { path: "notes.txt" },
  list_directory: { path: "." },
  file_suggestions: { query: "not" },
  rename_session: { title: "renamed" },
  seed_read_state: { path: "notes.txt", mtime: 1 },
  mcp_reconnect: { serverName: "nope" },
  mcp_toggle: { serverName: "nope", enabled: false },
  mcp_set_servers: { servers: {} },
  mcp_call: { tool: "mcp__nope__x" },
  mcp_read_resource: { serverName: "nope", uri: "ui://x" },
  apply_flag_settings: { settings: { outputStyle: "default" } },
  update_settings: { source: "localSettings", settings: { outputStyle: "default" } },
  register_repo_root: { directory: "." },
  add_directory: { directory: "." },
  set_cwd: { cwd: "." },
  export_conversation: {},
  generate_session_title: { description: "a sum", persist: false },
  side_question: { question: "What?" },
  poll_event: {},
  claim_session: {},
  elicitation: {},
  can_use_tool: {},
  hook_callback: {},
  request_user_dialog: {},
  supported_commands: {},
  supported_models: {},
  stop: {},
  ping: {},
  end_session: {}
}

const idOf = (subtype: string): string => `ask_${subtype}`

const patienceMs = 5_000

type Requests = ReadonlyArray<readonly [string, Readonly<Record<string, unknown>>]>

/** Asks one after the other, until one gets no answer: what comes after it would get none either. */
const interview = (asking: Requests) => () => {
  const waiting = [...asking]
  let asked = ""
  let late: ReturnType<typeof setTimeout> | undefined
  const next = (conversation: Conversation): void => {
    clearTimeout(late)
    const [subtype, body] = waiting.shift() ?? []
    if (subtype === undefined) return conversation.kill()
    asked = idOf(subtype)
    late = setTimeout(() => conversation.kill(), patienceMs).unref()
    conversation.send({ type: "control_request", request_id: asked, request: { subtype, ...body } })
  }
  return (frame: Frame, conversation: Conversation): void => {
    if (frame.type === "result" && asked === "") return next(conversation)
    if (frame.type === "control_response" && answerIn(frame)?.id === asked) next(conversation)
  }
}

interface Answer {
  readonly id: string
  readonly says: Fields | string
}

const answerIn = (frame: { readonly response?: unknown }): Answer | undefined => {
  const { response } = frame
  if (!isRecord(response)) return undefined
  const { error, error_code: code, request_id: id, response: body, subtype } = response
  if (typeof id !== "string") return undefined
  if (subtype === "success") return { id, says: fieldsOf([body]) }
  if (String(error).startsWith("Unsupported control request subtype")) return { id, says: "unsupported" }
  return { id, says: typeof code === "string" ? `error ${code}` : "error" }
}

const scenario = (asking: Requests): Scenario => ({
  name: "control-probe",
  description: "every control request that can be asked without harm",
  script: () => [text("2+2 is 4.")],
  initialize: {},
  files: { "notes.txt": "first line\n" },
  results: Number.POSITIVE_INFINITY,
  react: interview(asking)
})

/** What was asked in a run, and what was answered. */
export const answersIn = (
  { stdin, stdout }: Pick<RecordedRun, "stdin" | "stdout">
): Record<string, Fields | string> => {
  const answers = new Map(
    stdout.split("\n").flatMap((line) => {
      const frame = parseLine(line)
      const answer = frame?.["type"] === "control_response" ? answerIn(frame) : undefined
      return answer === undefined ? [] : [[answer.id, answer.says] as const]
    })
  )
  return Object.fromEntries(stdin.flatMap((line) => {
    const frame = parseLine(line)
    const request = frame?.["request"]
    if (!isRecord(request)) return []
    return [[String(request["subtype"]), answers.get(String(frame?.["request_id"])) ?? "no answer"] as const]
  }))
}

/** Asks a version everything; a process that no longer answers is followed by another one. */
export const probe = async (cli: string, version: string): Promise<Readonly<Record<string, Fields | string>>> => {
  let answers: Record<string, Fields | string> = {}
  let left: Requests = Object.entries(requests)
  while (left.length > 0) {
    const { run, stdout } = await drive(scenario(left), cli, version)
    answers = { ...answers, ...answersIn({ stdin: run.stdin, stdout }) }
    const before = left.length
    left = left.filter(([subtype]) => !Object.hasOwn(answers, subtype))
    if (left.length === before) throw new Error(`claude ${version} answers nothing: ${stdout.slice(0, 500)}`)
  }
  return sorted(answers)
}
