import { Questions } from "./questions.mjs"
import { Tasks } from "./tasks.mjs"
import { blocksOf, fieldsOf, isClear, toolResults, uuidsOf } from "./turn.mjs"
/** @import { Frame } from "../../FakeCli.js" */
/** @import { Session } from "./session.mjs" */
/** @import { Turn } from "./turn.mjs" */
/** @import { Fields, Kept, Line, Saying } from "./types.js" */

/**
 * What a CLI says, and for whom: every frame of a turn is attributed to the prompts it answers, and the life of each
 * prompt is told, as the CLI was seen to do.
 * @template [Steps=unknown] What a turn is made of that the CLI begins itself.
 */
export class Dialogue {
  /** The turn that is played. @type {Turn | undefined} */
  turn
  /** Prompts that wait for a turn. @type {Array<Line>} */
  waiting = []
  /** The `initialize` request of the program. @type {Fields} */
  registered = {}
  /** What the model is in the middle of saying. @type {Saying | undefined} */
  saying
  /** What it said last. */
  said = ""
  /** Whether the last result was an error. */
  failed = false
  #ids = 0
  #told = "idle"
  /** @type {Set<string>} */
  #received = new Set()

  /**
   * @param {Session & Kept} session
   * @param {(frame: Frame) => void} write
   */
  constructor(session, write) {
    this.session = session
    this.write = write
    /** @type {Tasks<Steps>} */
    this.tasks = new Tasks(this)
    this.questions = new Questions(this)
  }

  /** The MCP servers that the program serves. */
  get servers() {
    const { sdkMcpServers } = this.registered
    return Array.isArray(sdkMcpServers) ? sdkMcpServers.map(String) : []
  }

  /** An id of a message, a tool or a request: unique over all processes. @param {string} kind */
  newId(kind) {
    return `${kind}_${this.session.pid}_${++this.#ids}`
  }

  /** As it is, such as a frame of the control protocol. @param {Frame} frame */
  line(frame) {
    this.write(frame)
    if (frame.type !== "result") return
    this.session.results++
    this.failed = frame["is_error"] === true
    if (this.turn !== undefined) this.turn.answered = true
  }

  /** In the turn, if it is still open. @param {Frame} frame */
  print(frame) {
    const turn = this.turn?.closed === false ? this.turn : undefined
    if (turn !== undefined) this.#before(turn, frame)
    const told = this.session.modern ? frame : oldWays(frame)
    this.line({ ...this.session.mark(frame), ...turn && this.#attribution(turn, frame), ...told })
    if (turn !== undefined) this.#after(turn, frame)
  }

  /** @param {string} subtype @param {Fields} fields */
  system(subtype, fields) {
    this.print({ type: "system", subtype, ...fields })
  }

  /** After it was changed. */
  tellMode() {
    this.system("status", { status: null, permissionMode: this.session.mode })
  }

  /** @param {ReadonlyArray<Line>} lines @param {"queued" | "started" | "completed" | "cancelled"} state */
  lifecycle(lines, state) {
    if (!this.session.tellsLife) return
    for (const uuid of uuidsOf(lines)) this.print({ type: "command_lifecycle", command_uuid: uuid, state })
  }

  /** @param {"running" | "requires_action" | "idle"} state */
  state(state) {
    if (!this.session.tellsState || state === this.#told) return
    this.#told = state
    this.system("session_state_changed", { state })
  }

  /** A prompt comes in. `false` where it is known already. @param {Line} line */
  hear(line) {
    const { uuid } = line
    if (uuid !== undefined) {
      this.session.named = true
      if (this.#received.has(uuid)) return false
      this.#received.add(uuid)
      if (this.session.knows(uuid)) {
        this.lifecycle([line], "completed")
        return false
      }
    }
    this.state("running")
    this.lifecycle([line], "queued")
    this.waiting.push(line)
    return true
  }

  /** @param {unknown} uuid */
  hasHeard(uuid) {
    return typeof uuid === "string" && (this.#received.has(uuid) || this.session.knows(uuid))
  }

  /** The prompts of the next turn, at most so many: `/clear` has one of its own. */
  take(most = Infinity) {
    const clear = this.waiting.findIndex(isClear)
    return this.waiting.splice(0, Math.min(most, clear < 0 ? Infinity : Math.max(1, clear)))
  }

  /** Takes prompts back. @param {(line: Line) => boolean} fits */
  cancel(fits) {
    const cancelled = this.waiting.filter(fits)
    this.waiting = this.waiting.filter((line) => !fits(line))
    this.lifecycle(cancelled, "cancelled")
    return uuidsOf(cancelled)
  }

  /** @param {Turn} turn */
  begin(turn) {
    this.turn = turn
    this.saying = undefined
    this.said = ""
    this.session.remember(turn.lines.filter((line) => !isClear(line)))
    this.lifecycle(turn.lines, "started")
    if (turn.origin !== undefined || turn.lines.length > 0) this.state("running")
  }

  /** @param {Turn} turn */
  end(turn) {
    if (turn.cut !== undefined && !turn.answered) this.#cutOff(turn)
    this.#close(turn)
    this.turn = undefined
  }

  /** The frame that begins a turn. @param {Fields} fields */
  init(fields) {
    const { mode, model, modern, surroundings, version } = this.session
    this.system("init", {
      ...surroundings,
      model,
      permissionMode: mode,
      claude_code_version: version,
      output_style: "default",
      mcp_servers: [],
      apiKeySource: "none",
      ...modern && { capabilities: ["interrupt_receipt_v1", "msg_lifecycle_v1"] },
      ...fields
    })
  }

  /** As it is known before it ends. @param {string} id @param {ReadonlyArray<Fields>} content */
  message(id, content) {
    return {
      id,
      type: "message",
      role: "assistant",
      model: this.session.model,
      content,
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: this.session.tokensOf(this.turn?.lines ?? []), output_tokens: 1 }
    }
  }

  /** @param {string} id @param {ReadonlyArray<Fields>} content @param {Fields} [fields] */
  assistant(id, content, fields) {
    this.print({ type: "assistant", message: this.message(id, content), parent_tool_use_id: null, ...fields })
  }

  /** @param {unknown} content @param {Fields} [fields] */
  user(content, fields) {
    this.print({ type: "user", message: { role: "user", content }, parent_tool_use_id: null, ...fields })
  }

  /** Where the program asked for partial messages. @param {string} id @param {Frame} event @param {Fields} [fields] */
  event(id, event, fields) {
    if (!this.session.partial) return
    this.print({ type: "stream_event", event, parent_tool_use_id: null, ...fields, api_message_id: id })
  }

  /** @param {string} id @param {string | null} stop_reason @param {number} output_tokens @param {Fields} [fields] */
  endMessage(id, stop_reason, output_tokens, fields) {
    this.event(id, { type: "content_block_stop", index: 0 })
    this.event(id, { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } })
    this.event(id, { type: "message_stop" }, fields)
  }

  /** The tokens of what the model has said. @param {string} said */
  spend(said) {
    return this.session.spend(this.turn?.lines ?? [], said)
  }

  /** The model calls a tool. @param {string} name @param {unknown} input */
  useTool(name, input, id = this.newId("toolu")) {
    this.assistant(`msg_${id}`, [{ type: "tool_use", id, name, input }])
    this.spend(JSON.stringify(input))
    return id
  }

  /** @param {string} id @param {unknown} content */
  toolResult(id, content, isError = false) {
    this.user([{ type: "tool_result", tool_use_id: id, content, is_error: isError }])
  }

  /** The tool does not run: this is its result. @param {string} id @param {string} why */
  refuse(id, why) {
    const tool = this.turn?.tools.get(id)
    this.turn?.refused.add(id)
    this.turn?.denials.push({ tool_name: tool?.name, tool_use_id: id, tool_input: tool?.input })
    this.toolResult(id, why, true)
  }

  /** @param {Fields} fields */
  result(fields, billed = true) {
    const { subtype = "success", is_error = subtype !== "success" } = fields
    this.print({
      type: "result",
      subtype,
      is_error,
      stop_reason: "end_turn",
      terminal_reason: "completed",
      num_turns: 1 + (this.turn?.used ?? 0),
      duration_ms: 1,
      permission_denials: this.turn?.denials ?? [],
      ...subtype === "success" ? { api_error_status: null, result: this.said } : { errors: [] },
      ...this.session.modern && { result_index: this.session.results },
      ...this.session.bill(fields, billed),
      ...fields
    })
  }

  /** `/clear`: the conversation goes on under another id. The older version only says that there is nothing to say. */
  clear(turn = this.turn) {
    const { modern } = this.session
    if (modern) {
      const new_conversation_id = this.session.newId()
      const [user_message_uuid] = uuidsOf(turn?.lines ?? [])
      this.print({ type: "conversation_reset", new_conversation_id, trigger: "clear", user_message_uuid })
    } else if (turn !== undefined) turn.echoes = []
    this.tasks.changed()
    this.session.clear()
    this.init({})
    if (!modern) this.assistant(this.newId("msg"), [{ type: "text", text: "(no content)" }])
    const local = modern && { local_command: "clear" }
    this.result({ num_turns: 0, stop_reason: null, terminal_reason: undefined, ...local }, false)
  }

  /** The frames that close a turn which was interrupted. @param {Turn} turn */
  #cutOff(turn) {
    const { saying } = this
    const { cut, tools } = turn
    const { modern, named } = this.session
    const inTool = tools.size > 0 || cut === "deny"
    const silent = cut === "SIGINT" && tools.size > 0
    if (saying !== undefined && saying.content !== "") {
      this.assistant(saying.id, [blockOf(saying)], modern ? { aborted: true } : {})
    }
    for (const id of [...tools.keys()]) this.refuse(id, "The user doesn't want to proceed with this tool use.")
    if (named) {
      this.user([{ type: "text", text: `[Request interrupted by user${inTool ? " for tool use" : ""}]` }])
    }
    if (saying !== undefined && modern) {
      this.endMessage(saying.id, null, 1, { abandoned_blocks: { api_message_id: saying.id, from_block_index: 1 } })
    }
    const stop_reason = inTool ? "tool_use" : null
    if (silent) return
    this.result({
      subtype: "error_during_execution",
      errors: [`[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=${stop_reason}`],
      stop_reason,
      terminal_reason: inTool ? "aborted_tools" : "aborted_streaming",
      num_turns: 2 + turn.used
    }, false)
  }

  /** @param {Turn} turn @param {Frame} frame @returns {Fields} */
  #attribution(turn, frame) {
    if (frame.type === "result" && turn.origin !== undefined) return { origin: turn.origin }
    const uuids = uuidsOf(turn.lines)
    if (!this.session.modern || uuids.length === 0 || frame["parent_tool_use_id"]) return {}
    const named = { user_message_uuids: [...uuids, ...uuidsOf(turn.folded)] }
    if (frame["subtype"] === "status" || frame["subtype"] === "init") return named
    const first = frame.type === "assistant" || fieldsOf(frame["event"])["type"] === "message_start"
    return frame.type === "result" || first && turn.first ? { user_message_uuid: uuids.at(-1), ...named } : {}
  }

  /** @param {Turn} turn @param {Frame} frame */
  #before(turn, frame) {
    const ends = frame.type === "result"
    if (ends) turn.failed = frame["is_error"] === true && frame["subtype"] !== "error_max_turns"
    const begins = frame.type === "assistant" || this.session.modern && frame.type === "stream_event"
    if (begins || ends && turn.cut === undefined) this.#echo(turn)
    if (ends && !turn.lost) this.lifecycle(turn.folded, "completed")
  }

  /** @param {Turn} turn @param {Frame} frame */
  #after(turn, frame) {
    if (frame.type === "assistant" && !frame["parent_tool_use_id"]) {
      turn.first = false
      for (const { id, input, name, type } of blocksOf(frame)) {
        if (type === "tool_use") turn.tools.set(String(id), { id: String(id), name: String(name), input })
      }
    }
    const ended = toolResults(frame).filter((id) => turn.tools.delete(id))
    turn.used += ended.length
    if (ended.length > 0 && turn.tools.size === 0 && turn.cut === undefined) this.#fold(turn)
    if (frame.type === "result") this.#close(turn)
  }

  /** Prompts that wait when a tool has ended join the turn. @param {Turn} turn */
  #fold(turn) {
    const steering = this.waiting.filter((line) => !isClear(line))
    if (steering.length === 0) return
    this.waiting = this.waiting.filter(isClear)
    turn.folded.push(...steering)
    this.session.remember(steering)
    turn.echoes = [...turn.echoes, ...steering]
    this.#echo(turn)
    this.lifecycle(steering, "started")
  }

  /** @param {Turn} turn */
  #echo(turn) {
    const { echoes } = turn
    turn.echoes = []
    if (!this.session.replays) return
    for (const { content, uuid = this.session.newId() } of echoes) this.user(content, { isReplay: true, uuid })
  }

  /** @param {Turn} turn */
  #close(turn) {
    if (turn.closed) return
    turn.closed = true
    if (!turn.lost) this.lifecycle(turn.lines, "completed")
    else this.lifecycle([...turn.folded, ...turn.lines], "cancelled")
    if (this.waiting.length === 0) this.state("idle")
  }
}

/** @param {Saying} saying */
export const blockOf = ({ content, kind }) => ({ type: kind, [kind]: content })

/** The older version says less of what the API refused. @param {Frame} frame @returns {Frame} */
const oldWays = (frame) => {
  const untold = { api_error: undefined, api_error_type: undefined, is_api_error_message: undefined }
  if (frame.type === "assistant" && frame["is_api_error_message"] === true) {
    return { ...frame, ...untold, api_error_status: undefined }
  }
  return frame.type === "result" && frame["terminal_reason"] === "api_error"
    ? { ...frame, ...untold, terminal_reason: "completed" }
    : frame
}
