import type { CliExit, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Match from "effect/Match"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type { Exit, Frame, Script, Started, Step, Turn } from "../FakeCli.js"
import { FakeHost } from "./fakeHost.js"
import { FakeOutput } from "./fakeOutput.js"
import { type FakeDisk, FakeSession } from "./fakeSession.js"
import { drive, FakeTurn, type Played } from "./fakeTurn.js"
import { isRefused, reply, respond } from "./protocol/controls.mjs"
import { Dialogue } from "./protocol/dialogue.mjs"
import { readArgs } from "./protocol/flags.mjs"
import { say } from "./protocol/speech.mjs"
import { fieldsOf, isClear, promptOf } from "./protocol/turn.mjs"
import type { Fields, Line } from "./protocol/types.js"

let pids = 0

/** As on one machine: no two processes have the same number, also those of different fakes, and so no two of their ids. */
export const nextPid = (): number => ++pids

/** One fake process: takes what the program under test sends, and plays one turn after the other in a fiber. */
export class FakeProcess {
  readonly running: RunningCli
  private readonly invocation: Invocation
  private readonly script: Script
  private readonly scope: Scope.Scope
  private readonly output: FakeOutput
  private readonly dialogue: Dialogue<Turn>
  private readonly host: FakeHost
  private readonly sent: Array<Frame> = []
  private sigints = 0
  private inputClosed = false
  private turns = 0
  private playing: { readonly turn: FakeTurn; readonly fiber: Fiber.RuntimeFiber<void> } | undefined

  constructor(pid: number, invocation: Invocation, script: Script, scope: Scope.Scope, disk: FakeDisk) {
    this.scope = scope
    this.invocation = invocation
    this.script = script
    this.output = new FakeOutput(script.pipeBytes)
    const session = new FakeSession(pid, invocation, script.version ?? "2.1.330", disk)
    this.dialogue = new Dialogue(session, (frame) => this.output.line(frame))
    this.host = new FakeHost(this.dialogue)
    this.running = {
      pid,
      stdout: this.output.read,
      send: (text) => Effect.suspend(() => this.accept(text)),
      closeInput: Effect.suspend(() => {
        this.inputClosed = true
        this.dialogue.questions.close()
        this.dialogue.tasks.close()
        return this.playNext
      }),
      interrupt: Effect.suspend(() => {
        this.sigints++
        this.dialogue.questions.withdraw()
        return Effect.andThen(this.cut("SIGINT"), Effect.sync(() => this.leave(0)))
      }),
      exit: this.output.end,
      stderrTail: this.output.stderrTail
    }
    if (script.start !== undefined) this.dialogue.tasks.own.push({ steps: script.start })
  }

  /** What is known of it, as a test looks at it. */
  get seen(): Started {
    const { host, invocation, output, sent, sigints } = this
    const requests = sent.flatMap((frame) => frame.type === "control_request" ? [fieldsOf(frame["request"])] : [])
    return {
      invocation,
      flags: flagsOf(invocation),
      env: invocation.env,
      prompts: sent.flatMap((frame) => frame.type === "user" ? [fieldsOf(frame["message"])["content"]] : []),
      replies: [...host.replies],
      requests,
      interrupts: sigints + requests.filter(({ subtype }) => subtype === "interrupt").length,
      sent: [...sent],
      printed: output.frames,
      running: output.exit === undefined
    }
  }

  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    const { playing } = this
    this.output.leave({ code: null, signal: "SIGINT" })
    return playing === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(playing.fiber))
  })

  private accept(text: string): Effect.Effect<boolean> {
    if (this.output.exit !== undefined || this.inputClosed) return Effect.succeed(false)
    const lines = text.split("\n").filter((line) => line !== "")
    return Effect.as(Effect.forEach(lines, (line) => this.frame(JSON.parse(line)), { discard: true }), true)
  }

  private frame(frame: Frame): Effect.Effect<void> {
    this.sent.push(frame)
    switch (frame.type) {
      case "user":
        return this.prompt(frame)
      case "control_request":
        return this.control(String(frame["request_id"]), fieldsOf(frame["request"]))
      case "control_response":
        return Effect.sync(() => this.dialogue.questions.answer(frame))
      default:
        return Effect.void
    }
  }

  private prompt({ message, uuid }: Frame): Effect.Effect<void> {
    const line = { uuid: typeof uuid === "string" ? uuid : undefined, content: fieldsOf(message)["content"] }
    return this.dialogue.hear(line) ? this.playNext : Effect.void
  }

  private control(request_id: string, request: Fields): Effect.Effect<void> {
    const { subtype: kind, ...fields } = request
    const { dialogue } = this
    const subtype = String(kind)
    const scripted = this.script.controls?.[subtype]
    const answer = scripted === undefined ? respond(dialogue, request) : scripted(fields)
    if (Predicate.isTagged(answer, "Unanswered")) return Effect.void
    reply(dialogue, request_id, answer)
    if (scripted !== undefined || isRefused(answer)) return Effect.void
    switch (subtype) {
      case "interrupt":
        return Effect.andThen(this.cut("interrupt"), Effect.suspend(() => this.playNext))
      case "end_session":
        return Effect.sync(() => this.leave(0))
      case "set_permission_mode":
        return Effect.sync(() => dialogue.tellMode())
      default:
        return Effect.void
    }
  }

  /** Turns run one after the other; when none is left and the input is closed, the process leaves. */
  readonly playNext: Effect.Effect<void> = Effect.suspend(() => {
    if (this.playing !== undefined || this.output.exit !== undefined) return Effect.void
    const turn = this.next()
    if (turn === undefined) {
      if (this.inputClosed && this.dialogue.tasks.size === 0) this.leave(this.dialogue.failed ? 1 : 0)
      return Effect.void
    }
    this.dialogue.begin(turn)
    return Effect.forEach(turn.steps, (step) => this.inTurn(turn, step), { discard: true }).pipe(
      Effect.interruptible,
      Effect.ensuring(Effect.sync(() => {
        if (turn.cut === undefined || turn.cut === "deny") this.end(turn)
      })),
      Effect.andThen(Effect.suspend(() => this.playNext)),
      Effect.forkIn(this.scope),
      Effect.uninterruptible,
      Effect.map((fiber) => {
        this.playing = { turn, fiber }
      })
    )
  })

  private next(): FakeTurn | undefined {
    const lines = this.dialogue.take()
    const [first] = lines
    if (first !== undefined) return new FakeTurn(isClear(first) ? [{ _tag: "Clear" }] : this.scripted(lines), lines)
    const own = this.dialogue.tasks.own.shift()
    return own && new FakeTurn(own.steps, [], own.origin)
  }

  private scripted(lines: ReadonlyArray<Line>): Turn {
    const index = this.turns++
    return this.script.turns?.[index] ?? this.script.respond?.(promptOf(lines), index) ?? unscripted
  }

  private end(turn: FakeTurn): void {
    this.playing = undefined
    this.dialogue.end(turn)
    for (const { id, steps } of turn.tasks) this.dialogue.tasks.finish(id, steps)
  }

  private cut(how: "interrupt" | "SIGINT"): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.playing === undefined) return Effect.void
      const { fiber, turn } = this.playing
      turn.stop(how)
      return Effect.andThen(Fiber.interrupt(fiber), Effect.sync(() => this.end(turn)))
    })
  }

  /** A step waits for room in the output. */
  private inTurn(turn: FakeTurn, step: Played): Effect.Effect<void> {
    return Effect.zipRight(
      this.output.room,
      Effect.suspend(() => {
        const ended = this.output.exit !== undefined || turn.cut !== undefined || turn.over
        return ended ? Effect.void : this.step(turn, step)
      })
    )
  }

  private step(turn: FakeTurn, step: Played): Effect.Effect<void> {
    const { dialogue, host, output } = this
    return Match.valueTags(step, {
      Emit: ({ frame }) => Effect.sync(() => turn.skips(frame) ? undefined : dialogue.print(frame)),
      Init: ({ fields }) => Effect.sync(() => dialogue.init(fields)),
      Result: ({ billed, fields }) => Effect.sync(() => dialogue.result(fields, billed)),
      Use: ({ id, input, tool }) => Effect.sync(() => dialogue.useTool(tool, input, id)),
      Say: (step) => this.say(step),
      Raw: ({ bytes }) => Effect.sync(() => output.write(bytes)),
      Stderr: ({ text }) => Effect.sync(() => output.complain(text)),
      Delay: ({ duration }) => Effect.sleep(duration),
      Ask: (step) => host.askPermission(turn, step),
      Hook: (step) => host.askHook(turn, step),
      Call: (step) => host.callTool(turn, step),
      Background: (step) => this.background(turn, step),
      Clear: () => Effect.sync(() => dialogue.clear()),
      CrashAfter: ({ exit, frames }) => Effect.sync(() => output.crashAfter(frames, exitOf(exit))),
      Exit: (step) => Effect.sync(() => output.leave(exitOf(step)))
    })
  }

  private say(step: Extract<Step, { _tag: "Say" }>): Effect.Effect<void> {
    const { room } = this.output
    const wait = step.every === undefined ? room : Effect.zipRight(room, Effect.sleep(step.every))
    return drive(() => say(this.dialogue, step), () => wait)
  }

  private background(turn: FakeTurn, { after, steps }: Extract<Step, { _tag: "Background" }>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const id = this.dialogue.tasks.begin()
      if (after === undefined) return Effect.sync(() => turn.tasks.push({ id, steps }))
      return Effect.sleep(after).pipe(
        Effect.andThen(Effect.suspend(() => {
          this.dialogue.tasks.finish(id, steps)
          return this.playNext
        })),
        Effect.forkIn(this.scope),
        Effect.asVoid
      )
    })
  }

  private leave(code: number): void {
    this.output.leave({ code, signal: null })
  }
}

// ---------------------------------------------------------------------------

const flagsOf = ({ args, files }: Invocation): Started["flags"] => {
  const flags: Record<string, string | true | ReadonlyArray<string>> = {}
  const add = (name: string, value: string | true) => {
    const before = flags[name]
    flags[name] = before === undefined ? value : [...[before].flat().map(String), String(value)]
  }
  for (const { token, values } of readArgs(args).flags) add(token.replace(/^--?/, ""), values[0] ?? true)
  for (const { content, flag } of files) add(flag.replace(/^--/, ""), content)
  return flags
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
