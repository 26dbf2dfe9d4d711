import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import type { Frame, Reply, Step } from "../FakeCli.js"
import type { FakeDialogue } from "./fakeDialogue.js"
import { type FakeTurn, fieldsOf } from "./fakeTurn.js"

type Fields = Readonly<Record<string, unknown>>

/** What the program said to a request; `error` when it refused. */
interface Answer {
  readonly response: Fields
  readonly error: string | undefined
}

interface Question {
  readonly request: Fields
  readonly answered: Deferred.Deferred<Answer>
}

/**
 * What a fake process asks the program under test: whether a tool may run, its hooks, and the tools that it serves.
 *
 * @internal
 */
export class FakeHost {
  /** The MCP servers that the program serves. */
  servers: ReadonlyArray<string> = []
  readonly replies: Array<Reply> = []
  private hooks: Fields = {}
  private readonly dialogue: FakeDialogue
  private readonly open = new Map<string, Question>()
  private readonly greeted = new Map<string, { readonly tools: ReadonlyArray<unknown>; messages: number }>()
  private closed = false

  constructor(dialogue: FakeDialogue) {
    this.dialogue = dialogue
  }

  /** Takes what the program registers with `initialize`. */
  register({ hooks, sdkMcpServers }: Fields): void {
    this.hooks = fieldsOf(hooks)
    this.servers = Array.isArray(sdkMcpServers) ? sdkMcpServers.map(String) : []
  }

  answer(frame: Frame): void {
    const { error, request_id: id, response, subtype } = fieldsOf(frame["response"])
    const question = this.open.get(String(id))
    if (question === undefined) return
    if (this.dialogue.session.replays) this.dialogue.control(frame)
    const answer = { response: fieldsOf(response), error: subtype === "success" ? undefined : String(error) }
    const reply = replyTo(question.request, answer)
    if (reply !== undefined) this.replies.push(reply)
    this.tell(String(id), answer)
  }

  /** Nobody waits for the answers any more. */
  withdraw(): void {
    for (const id of this.open.keys()) this.dialogue.control({ type: "control_cancel_request", request_id: id })
    this.open.clear()
  }

  /** No answer can come any more. */
  close(): void {
    this.closed = true
    for (const id of [...this.open.keys()]) this.tell(id, gone)
  }

  askPermission(turn: FakeTurn, { input, tool }: Extract<Step, { _tag: "Ask" }>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const scripted = turn.running(tool)
      const id = scripted?.id ?? this.dialogue.newId("toolu")
      if (scripted === undefined) this.dialogue.useTool(id, tool, input)
      this.dialogue.state("requires_action")
      return Effect.map(
        this.ask({
          subtype: "can_use_tool",
          tool_name: tool,
          display_name: tool,
          input,
          permission_suggestions: [],
          tool_use_id: id
        }),
        ({ error, response }) => {
          this.dialogue.state("running")
          if (error === undefined && response["behavior"] === "allow") {
            const content = `allowed: ${JSON.stringify(response["updatedInput"] ?? input)}`
            if (scripted === undefined) this.dialogue.toolResult(id, content)
            return
          }
          this.refuse(turn, id, error ?? String(response["message"] ?? "denied"))
          if (response["interrupt"] === true) turn.cut = "deny"
        }
      )
    })
  }

  askHook(turn: FakeTurn, { event, input }: Extract<Step, { _tag: "Hook" }>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { id: session_id, mode: permission_mode } = this.dialogue.session
      const tool = turn.running(input["tool_name"])
      const facts = {
        session_id,
        transcript_path: `/home/user/.claude/projects/-home-user-project/${session_id}.jsonl`,
        cwd: "/home/user/project",
        permission_mode,
        hook_event_name: event,
        ...tool !== undefined && { tool_use_id: tool.id },
        ...input
      }
      return Effect.map(
        Effect.forEach(
          this.callbacks(event, input["tool_name"]),
          (callback_id) =>
            this.ask({
              subtype: "hook_callback",
              callback_id,
              input: facts,
              tool_use_id: tool?.id ?? this.dialogue.newId("hook")
            }),
          { concurrency: "unbounded" }
        ),
        (answers) => {
          for (const answer of answers) this.obeyHook(turn, event, tool?.id, answer)
        }
      )
    })
  }

  callTool(turn: FakeTurn, { input, server, tool }: Extract<Step, { _tag: "Call" }>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const name = `mcp__${server}__${tool}`
      const id = this.dialogue.newId("toolu")
      this.dialogue.useTool(id, name, input)
      const link = this.servers.includes(server) ? yield* this.greet(server) : undefined
      if (link?.tools.some((one) => fieldsOf(one)["name"] === tool) !== true) {
        this.dialogue.toolResult(id, `<tool_use_error>Error: No such tool available: ${name}</tool_use_error>`, true)
        return
      }
      const { error, response } = yield* this.message(server, {
        method: "tools/call",
        params: {
          name: tool,
          arguments: input,
          _meta: { "claudecode/toolUseId": id, progressToken: link.messages }
        },
        jsonrpc: "2.0",
        id: link.messages++
      })
      if (turn.cut !== undefined) return
      const { error: failure, result } = fieldsOf(response["mcp_response"])
      const { content, isError } = fieldsOf(result)
      const wrong = error ?? (failure === undefined ? undefined : String(fieldsOf(failure)["message"]))
      this.dialogue.toolResult(id, wrong ?? content ?? "", wrong !== undefined || isError === true)
    })
  }

  /** The handshake with a server, once. */
  private readonly greet = (server: string) =>
    Effect.gen(this, function*() {
      const known = this.greeted.get(server)
      if (known !== undefined) return known
      yield* this.message(server, {
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "claude-code", version: this.dialogue.session.version }
        },
        jsonrpc: "2.0",
        id: 0
      })
      yield* this.message(server, { jsonrpc: "2.0", method: "notifications/initialized" })
      const { response } = yield* this.message(server, { method: "tools/list", jsonrpc: "2.0", id: 1 })
      const { tools } = fieldsOf(fieldsOf(response["mcp_response"])["result"])
      const link = { tools: Array.isArray(tools) ? tools : [], messages: 2 }
      this.greeted.set(server, link)
      return link
    })

  private message(server_name: string, message: Fields): Effect.Effect<Answer> {
    return this.ask({ subtype: "mcp_message", server_name, message })
  }

  private ask(request: Fields): Effect.Effect<Answer> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.succeed(gone)
      const id = this.dialogue.newId("ask")
      const answered = Deferred.unsafeMake<Answer>(FiberId.none)
      this.open.set(id, { request, answered })
      this.dialogue.control({ type: "control_request", request_id: id, request })
      return Deferred.await(answered)
    })
  }

  private tell(id: string, answer: Answer): void {
    const question = this.open.get(id)
    this.open.delete(id)
    if (question !== undefined) Deferred.unsafeDone(question.answered, Effect.succeed(answer))
  }

  /** The callbacks that are registered for the event, and for the tool where their matcher names tools. */
  private callbacks(event: string, tool: unknown): ReadonlyArray<string> {
    const entries = this.hooks[event]
    if (!Array.isArray(entries)) return []
    return entries.map(fieldsOf).flatMap(({ hookCallbackIds, matcher }) => {
      const fits = typeof matcher !== "string" || matcher === "" || matcher === "*" ||
        new RegExp(`^(?:${matcher})$`).test(String(tool))
      return fits && Array.isArray(hookCallbackIds) ? hookCallbackIds.map(String) : []
    })
  }

  private obeyHook(turn: FakeTurn, event: string, tool: string | undefined, { error, response }: Answer): void {
    if (turn.over) return
    const said = fieldsOf(response["hookSpecificOutput"])
    const reason = String(said["permissionDecisionReason"] ?? response["reason"] ?? response["stopReason"] ?? "")
    const blocks = said["permissionDecision"] === "deny" || response["decision"] === "block"
    if (error !== undefined) {
      this.inform(`${event} hook error: ${error}`, { tag: "hook_callback_failed" })
    } else if (response["continue"] === false) {
      turn.over = true
      this.dialogue.result({ terminal_reason: "hook_stopped" })
    } else if (blocks && event === "UserPromptSubmit") {
      turn.over = true
      this.dialogue.print(this.dialogue.session.init({}))
      this.inform(`UserPromptSubmit operation blocked by hook:\n${reason}`, {
        prevent_continuation: true,
        prompt_submit_outcome: { kind: "blocked_by_hook", prompt_kept: false, reason }
      })
      this.dialogue.result({ num_turns: 0, stop_reason: null, terminal_reason: undefined }, false)
    } else if (blocks && event === "PreToolUse" && tool !== undefined && turn.tools.has(tool)) {
      this.refuse(turn, tool, `PreToolUse:${turn.tools.get(tool)?.name} hook error: ${reason}`)
    }
  }

  private inform(content: string, more: Fields): void {
    this.dialogue.print({ type: "system", subtype: "informational", content, level: "warning", ...more })
  }

  /** The tool does not run: this is its result, whatever the script has. */
  private refuse(turn: FakeTurn, id: string, why: string): void {
    const tool = turn.tools.get(id)
    turn.refused.add(id)
    turn.denials.push({ tool_name: tool?.name, tool_use_id: id, tool_input: tool?.input })
    this.dialogue.toolResult(id, why, true)
  }
}

const gone: Answer = { response: {}, error: "Tool permission stream closed before response received" }

/** What is worth knowing of an answer: not the handshake with a server. */
const replyTo = (request: Fields, { error, response }: Answer): Reply | undefined => {
  const answer: Fields = error === undefined ? response : { error }
  if (request["subtype"] === "can_use_tool") {
    const { toolUseID: _, ...said } = answer
    return { to: "permission", name: String(request["tool_name"]), input: request["input"], answer: said }
  }
  if (request["subtype"] === "hook_callback") {
    return { to: "hook", name: String(fieldsOf(request["input"])["hook_event_name"]), input: request["input"], answer }
  }
  const { method, params } = fieldsOf(request["message"])
  if (method !== "tools/call") return undefined
  const { arguments: input, name } = fieldsOf(params)
  const { error: failure, result } = fieldsOf(response["mcp_response"])
  return {
    to: "tool",
    name: `mcp__${request["server_name"]}__${name}`,
    input,
    answer: error !== undefined ? answer : result ?? { error: failure }
  }
}
