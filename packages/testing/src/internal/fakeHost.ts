import * as Effect from "effect/Effect"
import type { Reply, Step, Turn } from "../FakeCli.js"
import { drive, type FakeTurn } from "./fakeTurn.js"
import type { Dialogue } from "./protocol/dialogue.mjs"
import { answerOf, gone } from "./protocol/questions.mjs"
import { askPermission } from "./protocol/speech.mjs"
import { fieldsOf } from "./protocol/turn.mjs"
import type { Answer, Fields } from "./protocol/types.js"

/** What a fake process asks the program under test: whether a tool may run, its hooks, and the tools that it serves. */
export class FakeHost {
  readonly replies: Array<Reply> = []
  private readonly dialogue: Dialogue<Turn>
  private readonly greeted = new Map<string, { readonly tools: ReadonlyArray<unknown>; messages: number }>()

  constructor(dialogue: Dialogue<Turn>) {
    this.dialogue = dialogue
  }

  askPermission(turn: FakeTurn, { input, tool }: Extract<Step, { _tag: "Ask" }>): Effect.Effect<void> {
    return drive(
      () => askPermission(this.dialogue, turn, { input, tool, used: turn.running(tool)?.id }),
      (request) => this.ask(request)
    )
  }

  askHook(turn: FakeTurn, { event, input }: Extract<Step, { _tag: "Hook" }>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
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
      const answers = yield* Effect.forEach(
        this.callbacks(event, input["tool_name"]),
        (callback_id) => {
          const tool_use_id = tool?.id ?? this.dialogue.newId("hook")
          return this.ask({ subtype: "hook_callback", callback_id, input: facts, tool_use_id })
        },
        { concurrency: "unbounded" }
      )
      for (const answer of answers) this.obeyHook(turn, event, tool?.id, answer)
    })
  }

  callTool(turn: FakeTurn, { input, server, tool }: Extract<Step, { _tag: "Call" }>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      const name = `mcp__${server}__${tool}`
      const id = this.dialogue.useTool(name, input)
      const link = this.dialogue.servers.includes(server) ? yield* this.greet(server) : undefined
      if (link?.tools.some((one) => fieldsOf(one)["name"] === tool) !== true) {
        this.dialogue.toolResult(id, `<tool_use_error>Error: No such tool available: ${name}</tool_use_error>`, true)
        return
      }
      const { error, response } = yield* this.message(server, {
        method: "tools/call",
        params: { name: tool, arguments: input, _meta: { "claudecode/toolUseId": id, progressToken: link.messages } },
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
        id: 0
      })
      yield* this.message(server, { method: "notifications/initialized" })
      const { response } = yield* this.message(server, { method: "tools/list", id: 1 })
      const { tools } = fieldsOf(fieldsOf(response["mcp_response"])["result"])
      const link = { tools: Array.isArray(tools) ? tools : [], messages: 2 }
      this.greeted.set(server, link)
      return link
    })

  private message(server_name: string, message: Fields): Effect.Effect<Answer> {
    return this.ask({ subtype: "mcp_message", server_name, message: { ...message, jsonrpc: "2.0" } })
  }

  private ask(request: Fields): Effect.Effect<Answer> {
    return Effect.async((resume) =>
      this.dialogue.questions.ask(request, (response) => {
        const answer = answerOf(response)
        const reply = replyTo(request, answer)
        if (reply !== undefined && response !== gone) this.replies.push(reply)
        resume(Effect.succeed(answer))
      })
    )
  }

  /** The callbacks that are registered for the event, and for the tool where their matcher names tools. */
  private callbacks(event: string, tool: unknown): ReadonlyArray<string> {
    const entries = fieldsOf(this.dialogue.registered["hooks"])[event]
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
      this.dialogue.init({})
      this.inform(`UserPromptSubmit operation blocked by hook:\n${reason}`, {
        prevent_continuation: true,
        prompt_submit_outcome: { kind: "blocked_by_hook", prompt_kept: false, reason }
      })
      this.dialogue.result({ num_turns: 0, stop_reason: null, terminal_reason: undefined }, false)
    } else if (blocks && event === "PreToolUse" && tool !== undefined && turn.tools.has(tool)) {
      this.dialogue.refuse(tool, `PreToolUse:${turn.tools.get(tool)?.name} hook error: ${reason}`)
    }
  }

  private inform(content: string, more: Fields): void {
    this.dialogue.system("informational", { content, level: "warning", ...more })
  }
}

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
