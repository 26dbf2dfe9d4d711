/**
 * Requests to the CLI and from it over its input and output, correlated by id. Every request of ours has a deadline;
 * every request of the CLI gets an answer, if only that we do not support it, so that it never waits for one.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { CliProtocolError } from "./ClaudeError.js"
import type { Control } from "./CliFrame.js"
import type { RunningCli } from "./CliProcess.js"

/** One process's control channel. */
export interface ControlProtocol {
  /** Sends a request and waits for the answer. Default deadline: 10 seconds. */
  readonly request: (
    fields: { readonly subtype: string; readonly [field: string]: unknown },
    deadline?: Duration.DurationInput
  ) => Effect.Effect<unknown, CliProtocolError>
  /** Takes a control frame that the CLI printed. Never waits for the CLI to read. */
  readonly accept: (frame: Control) => Effect.Effect<void>
  /** The CLI is gone: nobody will answer what is still open. */
  readonly close: Effect.Effect<void>
}

/** The channel of a process. Replies that the CLI has not read yet are dropped when the scope closes. */
export const make = (cli: Pick<RunningCli, "send">): Effect.Effect<ControlProtocol, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const open = new Map<string, Pending>()
    let sent = 0
    return {
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
      accept: (frame) => {
        if (frame.type === "control_cancel_request") return Effect.void
        if (frame.type === "control_request") {
          const reply = unsupported(frame.request_id, frame.request.subtype)
          return Effect.asVoid(Effect.forkIn(cli.send(line(reply)), scope))
        }
        const { error, request_id: id, response, subtype } = frame.response
        const pending = open.get(id ?? "")
        if (pending === undefined) return Effect.void
        return Effect.asVoid(
          subtype === "success"
            ? Deferred.succeed(pending.answer, response)
            : Deferred.fail(pending.answer, failure(pending.subtype, error ?? "no reason given"))
        )
      },
      close: Effect.suspend(() =>
        Effect.forEach(open.values(), (pending) => Deferred.fail(pending.answer, gone(pending.subtype)), {
          discard: true
        })
      )
    }
  })

/** One line of the CLI's input. */
export const line = (frame: { readonly type: string; readonly [field: string]: unknown }): string =>
  JSON.stringify(frame) + "\n"

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

interface Pending {
  readonly subtype: string
  readonly answer: Deferred.Deferred<unknown, CliProtocolError>
}

const failure = (request: string, detail: string) =>
  new CliProtocolError({ request, detail, hint: "Update the CLI, or leave out the option that needs this request." })

const gone = (request: string) => failure(request, "the CLI no longer reads its input")

const unsupported = (id: string, subtype: string) => ({
  type: "control_response",
  response: {
    subtype: "error",
    request_id: id,
    error: `Unsupported control request subtype: ${subtype}`,
    error_code: "unsupported_request"
  }
})
