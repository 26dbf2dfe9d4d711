import { SessionNotFoundError } from "@ccflow/core/ClaudeError"
import type { PageOptions, SessionFilter } from "@ccflow/core/SessionFilter"
import { SessionManager } from "@ccflow/core/SessionManager"
import type { SessionRecord, TurnRecord } from "@ccflow/core/SessionRecord"
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import { Api, SessionBody, SessionView, TurnBody, TurnView } from "../HttpServiceApi.js"
import { answered, begin, Service } from "./serveContext.js"
import { read, stillAllowed } from "./serveOptions.js"
import { messages } from "./serveQueries.js"

/**
 * The sessions of the service, and no others: those of the same store that were begun elsewhere, by their user with other
 * rights, are as if they were not there.
 */
const mark = "ccflow:serve"

export const layer = HttpApiBuilder.group(Api, "sessions", (handlers) =>
  Effect.gen(function*() {
    const sessions = yield* SessionManager
    const { rules } = yield* Service

    const known = (sessionId: string) =>
      Effect.flatMap(sessions.record(sessionId), (record) =>
        Option.isSome(record) && record.value.tags.includes(mark)
          ? Effect.succeed(record.value)
          : new SessionNotFoundError({ sessionId, hint: "GET /v1/sessions lists those that there are." }))

    const viewed = (record: SessionRecord) =>
      Effect.map(sessions.get(record.sessionId), (live) => viewOf(record, Option.isSome(live)))

    const create = Effect.gen(function*() {
      const { body, options } = yield* read(rules, SessionBody, yield* begin)
      const session = yield* sessions.create({
        ...options,
        ...Struct.pick(body, "title", "idleTimeout", "recordMessages"),
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
        const { body: { prompt, ...settings } } = yield* read(rules, TurnBody, yield* begin)
        const record = yield* known(sessionId)
        const live = yield* sessions.get(sessionId)
        if (Option.isNone(live)) yield* stillAllowed(rules, record.options)
        const session = yield* sessions.resume(sessionId)
        return yield* messages(session.send(prompt, settings))
      })

    const list = ({ tag, ...filter }: Omit<SessionFilter, "tags"> & { readonly tag?: string | undefined }) =>
      Effect.gen(function*() {
        // All of these must hold, and a filter's tags are alternatives: the other one is looked at here.
        const page = yield* sessions.list({ ...filter, tags: [mark] })
        const wanted = tag === undefined ? page.sessions : page.sessions.filter(({ tags }) => tags.includes(tag))
        return HttpServerResponse.unsafeJson({ sessions: yield* Effect.forEach(wanted, viewed), next: page.next })
      })

    const get = (sessionId: string, page: PageOptions) =>
      Effect.gen(function*() {
        const session = yield* Effect.flatMap(known(sessionId), viewed)
        const { next, turns } = yield* sessions.turns(sessionId, page)
        return HttpServerResponse.unsafeJson({ session, turns: turns.map(turnView), next })
      })

    const remove = (sessionId: string) =>
      known(sessionId).pipe(
        Effect.zipRight(sessions.delete(sessionId)),
        Effect.as(HttpServerResponse.empty({ status: 204 }))
      )

    const interrupt = (sessionId: string) =>
      Effect.gen(function*() {
        yield* known(sessionId)
        const live = yield* sessions.get(sessionId)
        if (Option.isSome(live)) yield* live.value.interrupt
        return HttpServerResponse.unsafeJson({ live: Option.isSome(live) })
      })

    return handlers
      .handleRaw("create", () => answered(create))
      .handleRaw("list", ({ urlParams }) => answered(list(urlParams)))
      .handleRaw("get", ({ path, urlParams }) => answered(get(path.sessionId, urlParams)))
      .handleRaw("delete", ({ path }) => answered(remove(path.sessionId)))
      .handleRaw("send", ({ path }) => answered(send(path.sessionId)))
      .handleRaw("interrupt", ({ path }) => answered(interrupt(path.sessionId)))
  }))

// ---------------------------------------------------------------------------

/** Neither its folder nor its options: a system prompt is its owner's. */
const viewOf = (record: SessionRecord, live: boolean): SessionView =>
  Struct.pick(
    { ...record, live, tags: record.tags.filter((tag) => tag !== mark) },
    ...Struct.keys(SessionView.fields)
  )

const turnView = (turn: TurnRecord) => Struct.pick(turn, ...Struct.keys(TurnView.fields))
