import { SessionNotFoundError } from "@ccflow/core/ClaudeError"
import type { SessionFilter } from "@ccflow/core/SessionFilter"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Api, SessionBody, type SessionView, TurnBody } from "../HttpServiceApi.js"
import { answered, begin, Service } from "./serveContext.js"
import { read, stillAllowed } from "./serveOptions.js"
import { messages } from "./serveQueries.js"

/**
 * The sessions of the service, and no others: those of the same store that were begun elsewhere, by their user with other
 * rights, are as if they were not there.
 */
const mark = "ccflow:serve"

/** @internal */
export const layer = HttpApiBuilder.group(
  Api,
  "sessions",
  (handlers) =>
    Effect.map(Service, (service) => {
      const { rules, sessions } = service

      const known = (sessionId: string) =>
        Effect.flatMap(sessions.record(sessionId), (record) =>
          Option.isSome(record) && record.value.tags.includes(mark)
            ? Effect.succeed(record.value)
            : Effect.fail(
              new SessionNotFoundError({ sessionId, hint: "GET /v1/sessions lists those that there are." })
            ))

      const viewed = (record: SessionRecord) =>
        Effect.map(sessions.get(record.sessionId), (live) => viewOf(record, Option.isSome(live)))

      const create = Effect.gen(function*() {
        const { body, options } = yield* read(rules, SessionBody, yield* begin)
        const session = yield* sessions.create({
          ...options,
          ...defined({ title: body.title, idleTimeout: body.idleTimeout, recordMessages: body.recordMessages }),
          tags: [...options.tags ?? [], mark]
        })
        const view = yield* Effect.flatMap(Effect.flatMap(session.id, known), viewed)
        return HttpServerResponse.unsafeJson(view, {
          status: 201,
          headers: { location: `/v1/sessions/${encodeURIComponent(view.sessionId)}` }
        })
      })

      const send = (sessionId: string) =>
        Effect.gen(function*() {
          const { body: { context, prompt, timeout } } = yield* read(rules, TurnBody, yield* begin)
          const record = yield* known(sessionId)
          const live = yield* sessions.get(sessionId)
          if (Option.isNone(live)) yield* stillAllowed(rules, record.options)
          const session = yield* sessions.resume(sessionId)
          return yield* messages(session.send(prompt, defined({ context, timeout })))
        })

      const list = (
        { tag, ...filter }: Omit<SessionFilter, "tags"> & { readonly tag?: string | undefined }
      ) =>
        Effect.gen(function*() {
          // All of these must hold, and a filter's tags are alternatives: the other one is looked at here.
          const page = yield* sessions.list({ ...filter, tags: [mark] })
          const wanted = tag === undefined ? page.sessions : page.sessions.filter(({ tags }) => tags.includes(tag))
          return HttpServerResponse.unsafeJson({
            sessions: yield* Effect.forEach(wanted, viewed),
            ...defined({ next: page.next })
          })
        })

      const get = (
        sessionId: string,
        page: { readonly after?: number | undefined; readonly limit?: number | undefined }
      ) =>
        Effect.gen(function*() {
          const session = yield* Effect.flatMap(known(sessionId), viewed)
          const { next, turns } = yield* sessions.turns(sessionId, page)
          return HttpServerResponse.unsafeJson({ session, turns: turns.map(turnView), ...defined({ next }) })
        })

      const remove = (sessionId: string) =>
        Effect.gen(function*() {
          yield* known(sessionId)
          yield* sessions.delete(sessionId)
          return HttpServerResponse.empty({ status: 204 })
        })

      const interrupt = (sessionId: string) =>
        Effect.gen(function*() {
          yield* known(sessionId)
          const live = yield* sessions.get(sessionId)
          if (Option.isSome(live)) yield* live.value.interrupt
          return HttpServerResponse.unsafeJson({ live: Option.isSome(live) })
        })

      return handlers
        .handleRaw("create", () => answered(Effect.provideService(create, Service, service)))
        .handleRaw("list", ({ urlParams }) => answered(list(urlParams)))
        .handleRaw("get", ({ path, urlParams }) => answered(get(path.sessionId, urlParams)))
        .handleRaw("delete", ({ path }) => answered(remove(path.sessionId)))
        .handleRaw("send", ({ path }) => answered(Effect.provideService(send(path.sessionId), Service, service)))
        .handleRaw("interrupt", ({ path }) => answered(interrupt(path.sessionId)))
    })
)

// ---------------------------------------------------------------------------

/** Without what was left out. */
const defined = <A extends Readonly<Record<string, unknown>>>(
  fields: A
): { [Name in keyof A]?: Exclude<A[Name], undefined> } => {
  const given: { [Name in keyof A]?: Exclude<A[Name], undefined> } = {}
  for (const name in fields) {
    const value = fields[name]
    if (isGiven(value)) given[name] = value
  }
  return given
}

const isGiven = <A>(value: A): value is Exclude<A, undefined> => value !== undefined

/** Neither its folder nor its options: a system prompt is its owner's. */
const viewOf = (
  { costUsd, createdAt, durationMs, model, sessionId, status, tags, title, turnCount, updatedAt, usage }: SessionRecord,
  live: boolean
): SessionView => ({
  sessionId,
  status,
  live,
  title,
  ...(model === undefined ? {} : { model }),
  tags: tags.filter((tag) => tag !== mark),
  createdAt,
  updatedAt,
  turnCount,
  usage,
  costUsd,
  durationMs
})

const turnView = (
  { costUsd, endedAt, error, index, prompt, result, startedAt, status, turnId, usage }: TurnRecord
) => ({
  turnId,
  index,
  prompt,
  status,
  startedAt,
  ...defined({ endedAt, result, usage, costUsd, error })
})
