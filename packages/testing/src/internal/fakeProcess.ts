import type { CliExit, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Exit, Frame, Script, Started, Step, Turn } from "../FakeCli.js"
import { isRefused, isUnanswered, respond } from "./fakeControls.js"
import { FakeDialogue } from "./fakeDialogue.js"
import { FakeHost } from "./fakeHost.js"
import { FakeOutput } from "./fakeOutput.js"
import { seenOf } from "./fakeSeen.js"
import { type FakeDisk, FakeSession } from "./fakeSession.js"
import { cutOff, say } from "./fakeSpeech.js"
import { FakeTasks } from "./fakeTasks.js"
import { FakeTurn, fieldsOf, isClear, type Line, type Played, textOf, uuidsOf } from "./fakeTurn.js"

let pids = 0

/** As on one machine: no two processes have the same number, also those of different fakes, and so no two of their ids. */
export const nextPid = (): number => ++pids

/**
 * One fake process: takes what the program under test sends, and plays one turn after the other in a fiber.
 *
 * @internal
 */
export class FakeProcess {
  readonly running: RunningCli
  private readonly invocation: Invocation
  private readonly script: Script
  private readonly scope: Scope.Scope
  private readonly output: FakeOutput
  private readonly session: FakeSession
  private readonly dialogue: FakeDialogue
  private readonly host: FakeHost
  private readonly tasks: FakeTasks
  private readonly sent: Array<Frame> = []
  private readonly received = new Set<string>()
  /** Turns that begin without a prompt. */
  private readonly own: Array<FakeTurn> = []
  private sigints = 0
  private inputClosed = false
  private turns = 0
  private playing: Fiber.RuntimeFiber<void> | undefined

  constructor(pid: number, invocation: Invocation, script: Script, scope: Scope.Scope, disk: FakeDisk) {
    this.scope = scope
    this.invocation = invocation
    this.script = script
    this.output = new FakeOutput(script.pipeBytes)
    this.session = new FakeSession(pid, invocation, script.version ?? "2.1.330", disk)
    this.dialogue = new FakeDialogue(this.session, this.output)
    this.host = new FakeHost(this.dialogue)
    this.tasks = new FakeTasks(this.dialogue)
    this.running = {
      pid,
      stdout: this.output.read,
      send: (text) => Effect.suspend(() => this.accept(text)),
      closeInput: Effect.suspend(() => {
        this.inputClosed = true
        this.host.close()
        this.tasks.close()
        return this.playNext
      }),
      interrupt: Effect.suspend(() => {
        this.sigints++
        this.host.withdraw()
        return Effect.andThen(this.cut("SIGINT"), Effect.sync(() => this.leave(0)))
      }),
      exit: this.output.end,
      stderrTail: this.output.stderrTail
    }
    if (script.start !== undefined) this.own.push(new FakeTurn(script.start))
  }

  get seen(): Started {
    const { host, sigints, invocation, output, sent } = this
    return seenOf({
      invocation,
      sent,
      replies: host.replies,
      sigints,
      printed: output.frames,
      running: output.exit === undefined
    })
  }

  readonly start: Effect.Effect<void> = Effect.suspend(() => this.playNext)

  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    const { playing } = this
    this.output.leave({ code: null, signal: "SIGINT" })
    return playing === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(playing))
  })

  private accept(text: string): Effect.Effect<boolean> {
    if (this.output.exit !== undefined || this.inputClosed) return Effect.succeed(false)
    return Effect.as(
      Effect.forEach(text.split("\n").filter((line) => line !== ""), (line) => this.frame(JSON.parse(line)), {
        discard: true
      }),
      true
    )
  }

  private frame(frame: Frame): Effect.Effect<void> {
    this.sent.push(frame)
    switch (frame.type) {
      case "user":
        return this.prompt(frame)
      case "control_request":
        return this.control(String(frame["request_id"]), fieldsOf(frame["request"]))
      case "control_response":
        return Effect.sync(() => this.host.answer(frame))
      default:
        return Effect.void
    }
  }

  private prompt(frame: Frame): Effect.Effect<void> {
    const { content } = fieldsOf(frame["message"])
    const uuid = typeof frame["uuid"] === "string" ? frame["uuid"] : undefined
    const line: Line = { uuid, content }
    if (uuid !== undefined) {
      this.session.named = true
      if (this.received.has(uuid)) return Effect.void
      this.received.add(uuid)
      if (this.session.knows(uuid)) return Effect.sync(() => this.dialogue.lifecycle([line], "completed"))
    }
    this.dialogue.state("running")
    this.dialogue.lifecycle([line], "queued")
    this.dialogue.waiting = [...this.dialogue.waiting, line]
    return this.playNext
  }

  private control(
    request_id: string,
    { subtype: kind, ...request }: Readonly<Record<string, unknown>>
  ): Effect.Effect<void> {
    const subtype = String(kind)
    const scripted = this.script.controls?.[subtype]
    const answer = scripted === undefined ? respond(this.answering, subtype, request) : scripted(request)
    if (isUnanswered(answer)) return Effect.void
    this.dialogue.control({
      type: "control_response",
      response: isRefused(answer)
        ? { subtype: "error", request_id, error: answer.error, error_code: answer.code }
        : { subtype: "success", request_id, response: answer }
    })
    if (scripted !== undefined || isRefused(answer)) return Effect.void
    switch (subtype) {
      case "interrupt":
        return Effect.andThen(this.cut("interrupt"), Effect.suspend(() => this.playNext))
      case "end_session":
        return Effect.sync(() => this.leave(0))
      case "set_permission_mode":
        return Effect.sync(() =>
          this.dialogue.print({
            type: "system",
            subtype: "status",
            status: null,
            permissionMode: this.session.mode
          })
        )
      default:
        return Effect.void
    }
  }

  private get answering() {
    const { dialogue, host, invocation, tasks } = this
    return { dialogue, host, tasks, checkpoints: "CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING" in invocation.env }
  }

  /** Turns run one after the other; when none is left and the input is closed, the process leaves. */
  private readonly playNext: Effect.Effect<void> = Effect.suspend(() => {
    if (this.playing !== undefined || this.output.exit !== undefined) return Effect.void
    const turn = this.next()
    if (turn === undefined) {
      if (this.inputClosed && this.tasks.size === 0) this.leave(this.dialogue.failed ? 1 : 0)
      return Effect.void
    }
    this.dialogue.begin(turn)
    return Effect.forEach(turn.steps, (step) => this.inTurn(turn, step), {
      discard: true
    }).pipe(
      Effect.interruptible,
      Effect.ensuring(Effect.sync(() => {
        if (turn.cut === undefined || turn.cut === "deny") this.end(turn)
      })),
      Effect.andThen(Effect.suspend(() => this.playNext)),
      Effect.forkIn(this.scope),
      Effect.uninterruptible,
      Effect.map((fiber) => {
        this.playing = fiber
      })
    )
  })

  private next(): FakeTurn | undefined {
    const [first] = this.dialogue.waiting
    if (first === undefined) return this.own.shift()
    const clear = this.dialogue.waiting.findIndex(isClear)
    const taken = clear === 0 ? 1 : clear < 0 ? this.dialogue.waiting.length : clear
    const lines = this.dialogue.waiting.slice(0, taken)
    this.dialogue.waiting = this.dialogue.waiting.slice(taken)
    return new FakeTurn(clear === 0 ? [{ _tag: "Clear" }] : this.scripted(lines), lines)
  }

  private scripted(lines: ReadonlyArray<Line>): Turn {
    const index = this.turns++
    const prompt = lines.map(({ content }) => textOf(content)).join("\n\n")
    return this.script.turns?.[index] ?? this.script.respond?.(prompt, index) ?? unscripted
  }

  private ended(turn: FakeTurn): boolean {
    return this.output.exit !== undefined || turn.cut !== undefined || turn.over
  }

  private end(turn: FakeTurn): void {
    this.playing = undefined
    if (turn.cut !== undefined && !turn.answered) cutOff(this.dialogue, turn)
    this.dialogue.end(turn)
    for (const { id, steps } of turn.tasks) this.finish(id, steps)
  }

  /** Background work has ended: the CLI tells its model in a turn of its own. */
  private finish(id: string, steps: Turn): void {
    if (!this.tasks.end(id, "completed")) return
    this.own.push(
      new FakeTurn(steps, [], {
        kind: "task-notification",
        ...this.session.modern && { producer: "session-task" }
      })
    )
  }

  private cut(how: "interrupt" | "SIGINT"): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { playing } = this
      const { turn } = this.dialogue
      if (playing === undefined || turn === undefined) return Effect.void
      turn.cut = how
      return Effect.andThen(Fiber.interrupt(playing), Effect.sync(() => this.end(turn)))
    })
  }

  /** A step waits for room in the output. */
  private inTurn(turn: FakeTurn, step: Played): Effect.Effect<void> {
    return Effect.zipRight(
      this.output.room,
      Effect.suspend(() => this.ended(turn) ? Effect.void : this.step(turn, step))
    )
  }

  private step(turn: FakeTurn, step: Played): Effect.Effect<void> {
    switch (step._tag) {
      case "Emit":
        return Effect.sync(() => turn.skips(step.frame) ? undefined : this.dialogue.print(step.frame))
      case "Init":
        return Effect.sync(() => this.dialogue.print(this.session.init(step.fields)))
      case "Result":
        return Effect.sync(() => this.dialogue.result(step.fields, step.billed))
      case "Use":
        return Effect.sync(() => this.dialogue.useTool(step.id, step.tool, step.input))
      case "Say":
        return say(this.dialogue, this.output.room, turn, step)
      case "Raw":
        return Effect.sync(() => this.output.write(step.bytes))
      case "Stderr":
        return Effect.sync(() => this.output.complain(step.text))
      case "Delay":
        return Effect.sleep(step.duration)
      case "Ask":
        return this.host.askPermission(turn, step)
      case "Hook":
        return this.host.askHook(turn, step)
      case "Call":
        return this.host.callTool(turn, step)
      case "Background":
        return this.background(turn, step)
      case "Clear":
        return Effect.sync(() => this.clear(turn))
      case "CrashAfter":
        return Effect.sync(() => this.output.crashAfter(step.frames, exitOf(step.exit)))
      case "Exit":
        return Effect.sync(() => this.output.leave(exitOf(step)))
    }
  }

  private background(turn: FakeTurn, { after, steps }: Extract<Step, { _tag: "Background" }>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const id = this.tasks.begin()
      if (after === undefined) return Effect.sync(() => turn.tasks.push({ id, steps }))
      return Effect.sleep(after).pipe(
        Effect.andThen(Effect.suspend(() => {
          this.finish(id, steps)
          return this.playNext
        })),
        Effect.forkIn(this.scope),
        Effect.asVoid
      )
    })
  }

  /** `/clear`: the conversation goes on under another id. The older version only says that there is nothing to say. */
  private clear(turn: FakeTurn): void {
    const [user_message_uuid] = uuidsOf(turn.lines)
    const { modern } = this.session
    if (modern) {
      this.dialogue.print({
        type: "conversation_reset",
        new_conversation_id: this.session.newId(),
        trigger: "clear",
        user_message_uuid
      })
    } else turn.echoes = []
    this.tasks.changed()
    this.session.clear()
    this.dialogue.print(this.session.init({}))
    if (!modern) this.dialogue.assistant([{ type: "text", text: "(no content)" }], { message: "msg_clear" })
    this.dialogue.result({
      num_turns: 0,
      stop_reason: null,
      terminal_reason: undefined,
      ...modern && { local_command: "clear" }
    }, false)
  }

  private leave(code: number): void {
    this.output.leave({ code, signal: null })
  }
}

const exitOf = ({ code, signal }: Exit): CliExit => ({ code, signal })

const unscripted: Turn = [{
  _tag: "Emit",
  frame: {
    type: "result",
    subtype: "success",
    is_error: true,
    result: "FakeCli: no turn is scripted for this prompt",
    terminal_reason: "api_error",
    api_error: "unscripted",
    num_turns: 0
  }
}]
