import type { Anthropic } from "@anthropic-ai/sdk"
import { Stream as Sse } from "@anthropic-ai/sdk/core/streaming"
import type { Answer, Question } from "@ccflow/core/ClaudeBackend"
import { type ClaudeError, CliTimeoutError } from "@ccflow/core/ClaudeError"
import type { Deadline } from "@ccflow/core/Deadline"
import type { Message } from "@ccflow/core/Message"
import * as Outcome from "@ccflow/core/Outcome"
import type { PricingService } from "@ccflow/core/Pricing"
import type { UsageEntry } from "@ccflow/core/UsageLedger"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { cutOff, failureOf, failureOfEvent, malformed } from "./failures.js"
import { isRecord, parse } from "./json.js"
import { Reply } from "./reply.js"
import { apiKeySource, type Request } from "./request.js"

/** What a run over the API is made of. */
export interface Parts {
  readonly client: Anthropic
  /** It is told to nobody but the API. */
  readonly key: string
  readonly deadline: Deadline["Type"]
  readonly pricing: PricingService
  readonly booking: (entries: ReadonlyArray<UsageEntry>) => Effect.Effect<void>
  readonly question: Question
  readonly request: Request
}

type Pull = Effect.Effect.Success<Answer["open"]>

type Events = AsyncIterator<{ readonly event: string | null; readonly data: string }, unknown>

/**
 * One prompt, one answer. Nothing is sent before the first pull, and closing the scope takes the request back. While
 * nobody pulls nothing is read, and no silence is counted.
 */
export const open = ({ booking, client, deadline, key, pricing, question, request }: Parts): Answer["open"] =>
  Effect.gen(function*() {
    const { interruptWhen, options } = question
    const secrets = [key, ...request.texts]
    const controller = yield* Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (abort) => Effect.sync(() => abort.abort())
    )
    const interrupted = yield* Deferred.make<"interrupted">()
    if (interruptWhen !== undefined) {
      yield* Effect.forkScoped(Effect.zipRight(interruptWhen, Deferred.succeed(interrupted, "interrupted")))
    }
    const limits = deadline.limits(options)
    const startedAt = yield* Clock.currentTimeMillis
    const reply = new Reply(options.sessionId ?? crypto.randomUUID(), request.models[0], options, pricing)
    const waiting: Array<string> = [...request.models]
    let events: Events | undefined
    /** How it has ended. */
    let verdict: Option.Option<ClaudeError> | undefined
    let booked = false

    /** What the answer has used, once: when it ends, or when it is cut. */
    const book = (basis: UsageEntry["basis"]): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        const used = reply.used(at)
        if (booked || used === undefined) return Effect.void
        booked = true
        return booking([{
          ...used,
          at,
          basis,
          callId: question.id,
          turnId: undefined,
          ...question.purpose,
          apiKeySource
        }])
      })
    yield* Effect.addFinalizer(() => book("estimated"))

    const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, ClaudeError> =>
      Effect.catchAll(
        Effect.tryPromise({ try: run, catch: (thrown) => thrown }),
        (thrown) => Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(failureOf(thrown, secrets, now)))
      )

    /** The first model that is not overloaded. */
    const begin: Effect.Effect<Events | Message, ClaudeError> = Effect.suspend(() => {
      const model = waiting.shift() ?? request.models[0]
      return attempt(() =>
        client.post("/v1/messages", {
          body: { model, ...request.body },
          stream: true,
          signal: controller.signal,
          ...(options.betas === undefined ? {} : { headers: { "anthropic-beta": options.betas.join(",") } })
        }).asResponse()
      ).pipe(
        Effect.map((response): Events | Message => Sse.rawEvents(response, controller)),
        Effect.catchIf(
          (error) => error._tag === "ApiClientError" && error.status === 529 && waiting.length > 0,
          () => Effect.succeed(fallbackTo(reply.sessionId, waiting[0] ?? ""))
        )
      )
    })

    /** What comes next, in no more time than there is. */
    const patiently = <A>(effect: Effect.Effect<A, ClaudeError>): Effect.Effect<A | "interrupted", ClaudeError> =>
      Effect.gen(function*() {
        const left = startedAt + limits.total - (yield* Clock.currentTimeMillis)
        const [phase, timeoutMs, duration] = left <= limits.stall
          ? ["total", limits.total, Math.max(0, left)] as const
          : ["stall", limits.stall, limits.stall] as const
        const either = interruptWhen === undefined ? effect : Effect.raceFirst(effect, Deferred.await(interrupted))
        if (duration === Infinity) return yield* either
        const late = new CliTimeoutError({
          phase,
          timeoutMs,
          sessionId: reply.sessionId,
          frames: reply.events,
          partial: reply.text,
          costUsd: null,
          hint: `It was the API that was asked, and not the CLI. Raise ${
            phase === "stall" ? "stallTimeout" : "timeout"
          }.`
        })
        return yield* Effect.raceFirst(
          either,
          Effect.zipRight(Effect.sleep(duration), Effect.zipRight(deadline.expired(late), Effect.fail(late)))
        )
      })

    /** What is left to tell, the result among it, and what it comes to. */
    const finish = (interrupted: boolean): Effect.Effect<ReadonlyArray<Message>> =>
      Effect.map(Effect.zipRight(book(interrupted ? "estimated" : "reported"), Clock.currentTimeMillis), (now) => {
        const told = reply.end({ at: now, durationMs: now - startedAt, interrupted })
        const decoded = Outcome.decoded(told.result, options)
        const result = Either.getOrElse(decoded, () => told.result)
        const { events: frames, sessionId } = reply
        const outcome = Outcome.decide({
          facts: { exitCode: null, signal: null, argv: [], stderrTail: "", sessionId, frames },
          result: result.isError && result.result === "" ? { ...result, result: reply.refusal } : result,
          error: undefined,
          rejected: undefined,
          model: options.model ?? "",
          wantsStructuredOutput: options.outputSchema !== undefined,
          undecodable: Option.getOrUndefined(Either.getLeft(decoded)),
          interrupted
        })
        verdict = Either.getLeft(outcome)
        return [...told.messages, result]
      })

    const read = (data: string): Effect.Effect<ReadonlyArray<Message>, ClaudeError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const event = parse(data)
        if (!isRecord(event)) return Effect.fail(malformed())
        if (event["type"] === "error") return Effect.fail(failureOfEvent(event, secrets, now))
        const messages = reply.take(event)
        return reply.complete
          ? Effect.map(finish(false), (last) => [...messages, ...last])
          : Effect.succeed(messages)
      })

    const step: Effect.Effect<ReadonlyArray<Message>, ClaudeError> = Effect.gen(function*() {
      if (events === undefined) {
        const begun = yield* patiently(begin)
        if (begun === "interrupted") return yield* finish(true)
        if ("_tag" in begun) return [begun]
        events = begun
      }
      const from = events
      const next = yield* patiently(attempt(() => from.next()))
      if (next === "interrupted") return yield* finish(true)
      return next.done === true ? yield* Effect.fail(cutOff()) : yield* read(next.value.data)
    })

    const pull: Pull = Effect.suspend(() =>
      verdict !== undefined ? Effect.fail(verdict) : Effect.matchEffect(step, {
        onFailure: (error) => {
          verdict = Option.some(error)
          return Effect.fail(verdict)
        },
        onSuccess: (messages) => messages.length === 0 ? pull : Effect.succeed(messages)
      })
    )
    return pull
  })

// ---------------------------------------------------------------------------

const fallbackTo = (sessionId: string, model: string): Message => ({
  _tag: "Status",
  sessionId,
  kind: "model_fallback",
  content: model,
  raw: { type: "model_fallback", model }
})
