import { SessionNotFoundError, SessionStoreError } from "@ccflow/core/ClaudeError"
import type { SessionFilter } from "@ccflow/core/SessionFilter"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { type SessionPage, SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Chunk from "effect/Chunk"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { invalidOption } from "./invalidOption.js"

/** SQLite, loaded where sessions are kept. */
export const sqlite = Effect.tryPromise({
  try: () => import("@ccflow/sql/SqliteSessionRepository"),
  catch: missing
})

/** The user's own session records. SQLite is loaded here, by those who need it. */
export const open: Effect.Effect<SessionRepositoryService, SessionStoreError, Scope.Scope> = Effect.gen(function*() {
  const { layerConfig } = yield* sqlite
  return Context.get(yield* Layer.build(layerConfig), SessionRepository)
})

/** Where the records are, or would be. */
export const path: Effect.Effect<string, SessionStoreError> = Effect.flatMap(
  sqlite,
  ({ pathConfig }) => Effect.orDie(pathConfig)
)

/** The one session whose id is this or begins like this. */
export const find = (repository: SessionRepositoryService, given: string) =>
  Effect.gen(function*() {
    const exact = yield* repository.get(given)
    if (Option.isSome(exact)) return exact.value
    const [first, second] = yield* all(repository, {}).pipe(
      Stream.filter(({ sessionId }) => sessionId.startsWith(given)),
      Stream.take(2),
      Stream.runCollect
    )
    if (second === undefined) return first
    const hint = "Write more of the id; ccflow sessions list shows them."
    return yield* invalidOption("id", `several sessions begin with "${given}"`, hint)
  })

/** The session that must be there. */
export const known = (repository: SessionRepositoryService, given: string) =>
  Effect.flatMap(find(repository, given), (found) =>
    found === undefined
      ? new SessionNotFoundError({ sessionId: given, hint: "ccflow sessions list shows those that are kept." })
      : Effect.succeed(found))

/** Every session that the filter holds for, page by page. */
export const all = (repository: SessionRepositoryService, filter: SessionFilter) =>
  paged((after: string | undefined) => repository.list({ ...filter, after }), ({ sessions }) => sessions)

/** The same, for who has promises. */
export async function* everyOne(
  list: (filter: SessionFilter) => Promise<SessionPage>,
  filter: SessionFilter = {}
): AsyncGenerator<SessionRecord, void> {
  let { after } = filter
  do {
    const { next, sessions } = await list({ ...filter, after })
    yield* sessions
    after = next
  } while (after !== undefined)
}

/** Every turn of a session, in order. */
export const turns = (repository: Pick<SessionRepositoryService, "turns">, sessionId: string) =>
  paged((after: number | undefined) => repository.turns(sessionId, { after }), ({ turns }) => turns)

/** Every message that is kept of a turn, in order. */
export const messages = (repository: Pick<SessionRepositoryService, "messages">, turnId: string) =>
  paged((after: number | undefined) => repository.messages(turnId, { after }), ({ messages }) => messages)

/** All that comes page by page. */
export const paged = <Next, Page extends { readonly next?: Next }, A, E>(
  page: (after: Next | undefined) => Effect.Effect<Page, E>,
  items: (page: Page) => ReadonlyArray<A>
): Stream.Stream<A, E> =>
  Stream.paginateChunkEffect(
    undefined,
    (after: Next | undefined) =>
      Effect.map(page(after), (page) => [Chunk.fromIterable(items(page)), Option.fromNullable(page.next)])
  )

// ---------------------------------------------------------------------------

export function missing(error: unknown): SessionStoreError {
  return new SessionStoreError({
    operation: "open",
    reason: "Unavailable",
    detail: `@ccflow/sql cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
    hint: "Install it: npm install @ccflow/sql."
  })
}
