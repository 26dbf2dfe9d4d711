import type { Frame } from "../FakeCli.js"
import type { FakeOutput } from "./fakeOutput.js"
import type { FakeSession } from "./fakeSession.js"
import { blocksOf, type FakeTurn, fieldsOf, isClear, type Line, toolResults, uuidsOf } from "./fakeTurn.js"

/**
 * What a fake process says, and for whom: every frame of a turn is attributed to the prompts it answers, and the life of
 * each prompt is told, as the CLI was seen to do.
 *
 * @internal
 */
export class FakeDialogue {
  readonly session: FakeSession
  /** The turn that is played. */
  turn: FakeTurn | undefined
  /** Prompts that wait for a turn. */
  waiting: ReadonlyArray<Line> = []
  /** Whether the last result was an error. */
  failed = false
  private readonly output: FakeOutput
  private ids = 0
  private told = "idle"

  constructor(session: FakeSession, output: FakeOutput) {
    this.session = session
    this.output = output
  }

  /** An id of a message, a tool or a request: unique over all processes of a test. */
  newId(kind: string): string {
    return `${kind}_${this.session.pid}_${++this.ids}`
  }

  /** A frame of the control protocol. */
  control(frame: Frame): void {
    this.output.line(frame)
  }

  print(frame: Frame): void {
    const turn = this.turn?.answered === false ? this.turn : undefined
    if (turn !== undefined) this.before(turn, frame)
    const told = this.session.modern ? frame : oldWays(frame)
    this.output.line({ ...this.session.mark(), ...turn && this.attribution(turn, frame), ...told })
    if (frame.type === "result") {
      this.session.results++
      this.failed = frame["is_error"] === true
    }
    if (turn !== undefined) this.after(turn, frame)
  }

  lifecycle(lines: ReadonlyArray<Line>, state: "queued" | "started" | "completed" | "cancelled"): void {
    if (!this.session.modern) return
    for (const uuid of uuidsOf(lines)) this.print({ type: "command_lifecycle", command_uuid: uuid, state })
  }

  state(state: "running" | "requires_action" | "idle"): void {
    if (!this.session.tellsState || state === this.told) return
    this.told = state
    this.print({ type: "system", subtype: "session_state_changed", state })
  }

  begin(turn: FakeTurn): void {
    this.turn = turn
    this.session.remember(uuidsOf(turn.lines))
    this.lifecycle(turn.lines, "started")
    if (turn.origin !== undefined) this.state("running")
  }

  end(turn: FakeTurn): void {
    if (!turn.answered) this.close(turn)
    this.turn = undefined
  }

  /** The model calls a tool. */
  useTool(id: string, name: string, input: unknown): void {
    this.assistant([{ type: "tool_use", id, name, input }], { message: `msg_${id}` })
  }

  toolResult(id: string, content: unknown, isError = false): void {
    this.print({
      type: "user",
      parent_tool_use_id: null,
      message: { role: "user", content: [{ type: "tool_result", tool_use_id: id, content, is_error: isError }] }
    })
  }

  assistant(
    content: ReadonlyArray<unknown>,
    { message, ...fields }: { readonly message: string; readonly aborted?: true }
  ): void {
    this.print({
      type: "assistant",
      parent_tool_use_id: null,
      message: {
        id: message,
        role: "assistant",
        model: this.session.model,
        content,
        stop_reason: null,
        usage: { input_tokens: 10, output_tokens: 1 }
      },
      ...fields
    })
  }

  /** `billed`: it is the price of an answer, and not of something the CLI did without the model. */
  result(fields: Readonly<Record<string, unknown>>, billed = true): void {
    const { modern, results } = this.session
    this.print({
      type: "result",
      subtype: "success",
      is_error: false,
      result: "",
      stop_reason: "end_turn",
      terminal_reason: "completed",
      usage: { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 },
      num_turns: 1,
      duration_ms: 1,
      permission_denials: this.turn?.denials ?? [],
      ...modern && { result_index: results },
      ...billed ? this.session.bill(fields) : this.session.figures(),
      ...fields
    })
  }

  private attribution(turn: FakeTurn, frame: Frame): Readonly<Record<string, unknown>> {
    if (frame.type === "result" && turn.origin !== undefined) return { origin: turn.origin }
    const uuids = uuidsOf(turn.lines)
    if (!this.session.modern || uuids.length === 0 || frame["parent_tool_use_id"]) return {}
    const [last, all] = [uuids.at(-1), [...uuids, ...uuidsOf(turn.folded)]]
    if (frame["subtype"] === "status") return { user_message_uuids: all }
    if (frame["subtype"] === "init") return { user_message_uuids: uuids }
    if (frame.type === "result") return { user_message_uuid: last, user_message_uuids: all }
    const named = frame.type === "assistant" || fieldsOf(frame["event"])["type"] === "message_start"
    return turn.first && named ? { user_message_uuid: last, user_message_uuids: uuids } : {}
  }

  private before(turn: FakeTurn, frame: Frame): void {
    if (frame.type === "result") turn.failed = frame["is_error"] === true && frame["subtype"] !== "error_max_turns"
    const begins = frame.type === "assistant" || this.session.modern && frame.type === "stream_event"
    if (begins || frame.type === "result") this.echo(turn)
    if (frame.type === "result" && !turn.lost) this.lifecycle(turn.folded, "completed")
  }

  private after(turn: FakeTurn, frame: Frame): void {
    if (frame.type === "assistant" && !frame["parent_tool_use_id"]) {
      turn.first = false
      for (const { id, input, name, type } of blocksOf(frame)) {
        if (type === "tool_use") turn.tools.set(String(id), { id: String(id), name: String(name), input })
      }
    }
    const ended = toolResults(frame).filter((id) => turn.tools.delete(id))
    if (ended.length > 0 && turn.tools.size === 0 && turn.cut === undefined) this.fold(turn)
    if (frame.type === "result") this.close(turn)
  }

  /** Prompts that wait when a tool has ended join the turn. */
  private fold(turn: FakeTurn): void {
    const steering = this.waiting.filter((line) => !isClear(line))
    if (steering.length === 0) return
    this.waiting = this.waiting.filter(isClear)
    turn.folded.push(...steering)
    this.session.remember(uuidsOf(steering))
    turn.echoes = steering
    this.echo(turn)
    this.lifecycle(steering, "started")
  }

  private echo(turn: FakeTurn): void {
    const { echoes } = turn
    turn.echoes = []
    if (!this.session.replays) return
    for (const { content, uuid } of echoes) {
      this.print({
        type: "user",
        isReplay: true,
        uuid: uuid ?? this.session.newId(),
        parent_tool_use_id: null,
        message: { role: "user", content }
      })
    }
  }

  private close(turn: FakeTurn): void {
    turn.answered = true
    if (!turn.lost) this.lifecycle(turn.lines, "completed")
    else this.lifecycle([...turn.folded, ...turn.lines], "cancelled")
    if (this.waiting.length === 0) this.state("idle")
  }
}

/** The older version says less of what the API refused. */
const oldWays = (frame: Frame): Frame => {
  const untold = { api_error: undefined, api_error_type: undefined, is_api_error_message: undefined }
  if (frame.type === "assistant" && frame["is_api_error_message"] === true) {
    return { ...frame, ...untold, api_error_status: undefined }
  }
  return frame.type === "result" && frame["terminal_reason"] === "api_error"
    ? { ...frame, ...untold, terminal_reason: "completed" }
    : frame
}
