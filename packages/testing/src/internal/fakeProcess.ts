import type { CliExit, Invocation, RunningCli } from "@ccflow/core/CliProcess"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type { Frame, Script, Started, Step, Turn } from "../FakeCli.js"

const encoder = new TextEncoder()

/**
 * One fake process: what it was sent, what it has printed and nobody has read yet, and the fiber that plays its turns.
 *
 * @internal
 */
export class FakeProcess {
  readonly prompts: Array<unknown> = []
  readonly running: RunningCli
  private readonly invocation: Invocation
  private readonly script: Script
  private readonly scope: Scope.Scope
  private readonly sent: Array<Frame> = []
  private readonly exited = Deferred.unsafeMake<CliExit>(FiberId.none)
  private readonly partial: boolean
  private readonly sessionId: string
  private readonly queue: Array<unknown> = []
  private readonly questions = new Map<string, Deferred.Deferred<void>>()
  private printed: Array<Uint8Array> = []
  private errors = ""
  private reader: ((chunks: ReadonlyArray<Uint8Array>) => void) | undefined
  private exit: CliExit | undefined
  private inputClosed = false
  private turns = 0
  private messages = 0
  private failed = false
  private playing: Fiber.RuntimeFiber<void> | undefined

  constructor(pid: number, invocation: Invocation, script: Script, scope: Scope.Scope) {
    this.scope = scope
    this.invocation = invocation
    this.script = script
    this.partial = invocation.args.includes("--include-partial-messages")
    this.sessionId = `00000000-0000-4000-8000-${String(pid).padStart(12, "0")}`
    this.running = {
      pid,
      stdout: Effect.async((resume) => {
        if (this.printed.length > 0 || this.exit !== undefined) return resume(Effect.succeed(this.take()))
        this.reader = (chunks) => resume(Effect.succeed(chunks))
        return Effect.sync(() => {
          this.reader = undefined
        })
      }),
      send: (text) => Effect.suspend(() => this.accept(text)),
      closeInput: Effect.suspend(() => {
        this.inputClosed = true
        return this.playNext
      }),
      interrupt: Effect.suspend(() => Effect.andThen(this.interruptTurn, Effect.sync(() => this.leave(0, null)))),
      exit: Deferred.await(this.exited),
      stderrTail: Effect.sync(() => this.errors)
    }
    if (script.start !== undefined) this.queue.push(script.start)
  }

  get seen(): Started {
    return { invocation: this.invocation, sent: this.sent, running: this.exit === undefined }
  }

  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    const playing = this.playing
    this.leave(null, "SIGINT")
    return playing === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(playing))
  })

  private accept(text: string): Effect.Effect<boolean> {
    if (this.exit !== undefined || this.inputClosed) return Effect.succeed(false)
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
      case "user": {
        const { message } = frame as Frame & { readonly message: { readonly content: unknown } }
        this.prompts.push(message.content)
        this.queue.push(this.script.turns[this.turns++] ?? unscripted)
        return this.playNext
      }
      case "control_request": {
        const { request, request_id: id } = frame as Frame & { readonly request: { readonly subtype: string } }
        const known = request.subtype === "initialize" || request.subtype === "interrupt"
        this.print({
          type: "control_response",
          response: known
            ? { subtype: "success", request_id: id, response: {} }
            : {
              subtype: "error",
              request_id: id,
              error: `Unsupported control request subtype: ${request.subtype}`,
              error_code: "unsupported_request"
            }
        })
        return request.subtype === "interrupt" ? this.interruptTurn : Effect.void
      }
      case "control_response": {
        const { response } = frame as Frame & { readonly response: { readonly request_id: string } }
        const question = this.questions.get(response.request_id)
        return question === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(question, undefined))
      }
      default:
        return Effect.void
    }
  }

  /** Turns run one after the other; when none is left and the input is closed, the process leaves. */
  private readonly playNext: Effect.Effect<void> = Effect.suspend(() => {
    if (this.playing !== undefined || this.exit !== undefined) return Effect.void
    const turn = this.queue.shift() as Turn | undefined
    if (turn === undefined) {
      if (this.inputClosed) this.leave(this.failed ? 1 : 0, null)
      return Effect.void
    }
    return Effect.forEach(turn, (step) => this.exit === undefined ? this.step(step) : Effect.void, { discard: true })
      .pipe(
        Effect.ensuring(Effect.sync(() => {
          this.playing = undefined
        })),
        Effect.andThen(Effect.suspend(() => this.playNext)),
        Effect.forkIn(this.scope),
        Effect.map((fiber) => {
          if (fiber.unsafePoll() === null) this.playing = fiber
        })
      )
  })

  private readonly interruptTurn: Effect.Effect<void> = Effect.suspend(() => {
    const { playing } = this
    if (playing === undefined) return Effect.void
    return Effect.andThen(
      Fiber.interrupt(playing),
      Effect.sync(() =>
        this.print({
          type: "result",
          subtype: "error_during_execution",
          is_error: true,
          terminal_reason: "aborted_streaming",
          errors: ["[ede_diagnostic] interrupted"],
          num_turns: 1
        })
      )
    ).pipe(Effect.andThen(Effect.suspend(() => this.playNext)))
  })

  private step(step: Step): Effect.Effect<void> {
    switch (step._tag) {
      case "Emit":
        return Effect.sync(() => this.print(step.frame))
      case "Say":
        return Effect.sync(() => this.say(step))
      case "Raw":
        return Effect.sync(() => this.write(step.bytes))
      case "Stderr":
        return Effect.sync(() => {
          this.errors = (this.errors + step.text).slice(-64 * 1024)
        })
      case "Delay":
        return Effect.sleep(step.duration)
      case "Ask":
        return Effect.suspend(() => this.ask(step))
      case "Exit":
        return Effect.sync(() => this.leave(step.code, step.signal))
    }
  }

  private say({ content, deltas, kind }: Extract<Step, { _tag: "Say" }>): void {
    const id = `msg_${++this.messages}`
    const usage = { input_tokens: 10, output_tokens: 1 }
    const event = (fields: Frame) =>
      this.print({ type: "stream_event", event: fields, parent_tool_use_id: null, api_message_id: id })
    if (this.partial) {
      event({ type: "message_start", message: { id, model: "claude-fake", usage } })
      event({ type: "content_block_start", index: 0, content_block: { type: kind, [kind]: "" } })
      const size = Math.max(1, Math.ceil(content.length / deltas))
      for (let at = 0; at < content.length; at += size) {
        event({
          type: "content_block_delta",
          index: 0,
          delta: { type: `${kind}_delta`, [kind]: content.slice(at, at + size) }
        })
      }
    }
    this.print({
      type: "assistant",
      parent_tool_use_id: null,
      message: {
        id,
        role: "assistant",
        model: "claude-fake",
        content: [{ type: kind, [kind]: content }],
        stop_reason: null,
        usage
      }
    })
    if (this.partial) {
      event({ type: "content_block_stop", index: 0 })
      event({ type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 5 } })
      event({ type: "message_stop" })
    }
  }

  private ask({ input, tool }: Extract<Step, { _tag: "Ask" }>): Effect.Effect<void> {
    const id = `ask-${this.questions.size + 1}`
    const answered = Deferred.unsafeMake<void>(FiberId.none)
    this.questions.set(id, answered)
    this.print({
      type: "control_request",
      request_id: id,
      request: { subtype: "can_use_tool", tool_name: tool, input, tool_use_id: `toolu_${id}` }
    })
    return Deferred.await(answered)
  }

  private print(frame: Frame): void {
    if (frame.type === "result") this.failed = frame["is_error"] === true
    const named = frame.type.startsWith("control_") ? frame : { session_id: this.sessionId, ...frame }
    this.write(encoder.encode(JSON.stringify(named) + "\n"))
  }

  private write(bytes: Uint8Array): void {
    if (this.exit !== undefined) return
    this.printed.push(bytes)
    this.wake()
  }

  private leave(code: number | null, signal: string | null): void {
    if (this.exit !== undefined) return
    this.exit = { code, signal }
    Deferred.unsafeDone(this.exited, Effect.succeed(this.exit))
    this.wake()
  }

  private wake(): void {
    const { reader } = this
    this.reader = undefined
    reader?.(this.take())
  }

  private take(): ReadonlyArray<Uint8Array> {
    const taken = this.printed
    this.printed = []
    return taken
  }
}

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
