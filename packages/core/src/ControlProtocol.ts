/**
 * Requests to the CLI and from it over its input and output, correlated by id. Every request of ours has a deadline;
 * every request of the CLI gets an answer, if only that we do not support it, so that it never waits for one.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Prompt } from "./Claude.js"
import { CliProtocolError } from "./ClaudeError.js"
import type { Control, ControlRequest } from "./CliFrame.js"
import type { RunningCli } from "./CliProcess.js"
import { HostChannel } from "./internal/hostChannel.js"

/** What is said in a request, by us or by the CLI. */
export interface Request {
  readonly subtype: string
  readonly [field: string]: unknown
}

/** Why a request of the CLI is refused; `code` is a word of the protocol, such as `unsupported_request`. */
export interface Refusal {
  readonly error: string
  readonly code?: string | undefined
}

/** Answers a request of the CLI. It is interrupted when the CLI no longer wants the answer; a defect is a refusal. */
export type Handler = (request: Request) => Effect.Effect<unknown, Refusal>

/** By the request's subtype. What is not here is answered `unsupported_request`. */
export type Handlers = Readonly<Record<string, Handler>>

/** One process's control channel. */
export interface ControlProtocol {
  /** Sends a request and waits for the answer. Default deadline: 10 seconds. */
  readonly request: (fields: Request, deadline?: Duration.DurationInput) => Effect.Effect<unknown, CliProtocolError>
  /** Takes a control frame that the CLI printed. Never waits, neither for the CLI to read nor for a handler. */
  readonly accept: (frame: Control) => Effect.Effect<void>
  /** Whether the CLI waits for an answer of ours. */
  readonly asked: () => boolean
  /** The CLI is gone: nobody will answer what is still open, and nobody wants our answers. */
  readonly close: Effect.Effect<void>
}

/** The channel of a process. What its handlers still do is interrupted when the scope closes. */
export const make = (
  cli: Pick<RunningCli, "send">,
  handlers: Handlers = {}
): Effect.Effect<ControlProtocol, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const open = new Map<string, Pending>()
    const asked = new Map<string, Fiber.RuntimeFiber<unknown>>()
    let sent = 0

    const reply = (id: string, request: Request): Effect.Effect<unknown> => {
      const handler = handlers[request.subtype]
      if (handler === undefined) return cli.send(line(refused(id, unsupported(request.subtype))))
      return Effect.suspend(() => handler(request)).pipe(
        Effect.provideService(HostChannel, channel),
        Effect.matchCause({
          onSuccess: (response) => answered(id, response),
          onFailure: (cause) =>
            refused(id, Option.getOrElse(Cause.failureOption(cause), () => ({ error: "the handler died" })))
        }),
        Effect.flatMap((frame) => cli.send(line(frame)))
      )
    }

    const ask = ({ request, request_id: id }: ControlRequest): Effect.Effect<void> =>
      asked.has(id) ? Effect.void : Effect.map(Effect.forkIn(reply(id, request), scope), (fiber) => {
        asked.set(id, fiber)
        fiber.addObserver(() => asked.delete(id))
      })

    const withdraw = (id: string): Effect.Effect<void> => {
      const fiber = asked.get(id)
      return fiber === undefined ? Effect.void : Fiber.interruptFork(fiber)
    }

    const control: ControlProtocol = {
      request: (fields, deadline = "10 seconds") =>
        Effect.gen(function*() {
          const id = `ccflow-${++sent}`
          const answer = yield* Deferred.make<unknown, CliProtocolError>()
          open.set(id, { subtype: fields.subtype, answer })
          const sending = Effect.flatMap(
            cli.send(line({ type: "control_request", request_id: id, request: fields })),
            (taken) => taken ? Deferred.await(answer) : Effect.fail(gone(fields.subtype))
          )
          return yield* sending.pipe(
            Effect.timeoutFail({
              duration: deadline,
              onTimeout: () => failure(fields.subtype, `no answer within ${Duration.format(deadline)}`)
            }),
            Effect.ensuring(Effect.sync(() => open.delete(id)))
          )
        }),
      asked: () => asked.size > 0,
      accept: (frame) => {
        if (frame.type === "control_cancel_request") return withdraw(frame.request_id)
        if (frame.type === "control_request") return ask(frame)
        const { error, error_code: code, request_id: id, response, subtype } = frame.response
        const pending = open.get(id ?? "")
        if (pending === undefined) return Effect.void
        return Effect.asVoid(
          subtype === "success"
            ? Deferred.succeed(pending.answer, response)
            : Deferred.fail(pending.answer, failure(pending.subtype, error ?? "no reason given", code ?? undefined))
        )
      },
      close: Effect.suspend(() =>
        Effect.zipRight(
          Effect.forEach(open.values(), (pending) => Deferred.fail(pending.answer, gone(pending.subtype)), {
            discard: true
          }),
          Effect.forEach([...asked.values()], Fiber.interruptFork, { discard: true })
        )
      )
    }
    const channel = { tell: (fields: Request) => Effect.ignore(control.request(fields)) }
    return control
  })

/** One line of the CLI's input. */
export const line = (frame: { readonly type: string; readonly [field: string]: unknown }): string =>
  JSON.stringify(frame) + "\n"

/** A message of the user. Its `uuid` is what the CLI calls it by. */
export const userLine = (prompt: Prompt, uuid?: string): string =>
  line({
    type: "user",
    message: { role: "user", content: prompt },
    parent_tool_use_id: null,
    session_id: "",
    ...(uuid === undefined ? {} : { uuid })
  })

// ---------------------------------------------------------------------------

interface Pending {
  readonly subtype: string
  readonly answer: Deferred.Deferred<unknown, CliProtocolError>
}

const failure = (request: string, detail: string, code?: string) =>
  new CliProtocolError({
    request,
    detail,
    ...(code === undefined ? {} : { code }),
    hint: "Update the CLI, or leave out the option that needs this request."
  })

const gone = (request: string) => failure(request, "the CLI no longer reads its input")

const unsupported = (subtype: string): Refusal => ({
  error: `Unsupported control request subtype: ${subtype}`,
  code: "unsupported_request"
})

const answered = (id: string, response: unknown) => ({
  type: "control_response",
  response: { subtype: "success", request_id: id, response }
})

const refused = (id: string, { code, error }: Refusal) => ({
  type: "control_response",
  response: { subtype: "error", request_id: id, error, ...(code === undefined ? {} : { error_code: code }) }
})
