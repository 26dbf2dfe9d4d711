/** What the promises of a session store are written with. */
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type { Promised } from "../SessionRepositorySuite.js"

/** @internal */
export class BrokenPromise extends Data.TaggedError("BrokenPromise")<{
  readonly what: string
  readonly expected: unknown
  readonly actual: unknown
}> {
  override get message(): string {
    return `${this.what}\nexpected: ${JSON.stringify(this.expected)}\nactual:   ${JSON.stringify(this.actual)}`
  }
}

/** @internal */
export const promise = (
  name: string,
  run: (repository: SessionRepositoryService) => Effect.Effect<void, unknown>
): Promised => ({ name, run: Effect.flatMap(SessionRepository, run) })

/** @internal */
export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, BrokenPromise> =>
  canonical(actual) === canonical(expected) ? Effect.void : Effect.fail(new BrokenPromise({ what, expected, actual }))

/**
 * Runs something at a time, in UTC epoch milliseconds.
 *
 * @internal
 */
export const at = (millis: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) =>
    Effect.withClock(effect, {
      [Clock.ClockTypeId]: Clock.ClockTypeId,
      unsafeCurrentTimeMillis: () => millis,
      unsafeCurrentTimeNanos: () => BigInt(millis) * 1_000_000n,
      currentTimeMillis: Effect.succeed(millis),
      currentTimeNanos: Effect.succeed(BigInt(millis) * 1_000_000n),
      sleep: (duration) => clock.sleep(duration)
    })
  )

/** @internal */
export const session = (sessionId: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  sessionId,
  status: "open",
  title: "",
  cwd: "/work",
  tags: [],
  createdAt: 1_000,
  updatedAt: 1_000,
  turnCount: 0,
  usage: usage(0),
  costUsd: 0,
  durationMs: 0,
  options: {},
  ...fields
})

/** @internal */
export const usage = (tokens: number) => ({
  inputTokens: tokens,
  outputTokens: tokens * 2,
  cacheReadInputTokens: tokens * 3,
  cacheCreationInputTokens: tokens * 4
})

/** @internal */
export const ids = (sessions: ReadonlyArray<SessionRecord>): ReadonlyArray<string> =>
  sessions.map(({ sessionId }) => sessionId)

/**
 * All sessions of a listing, page by page.
 *
 * @internal
 */
export const everyPage = (
  repository: SessionRepositoryService,
  filter: Parameters<SessionRepositoryService["list"]>[0]
) =>
  Effect.gen(function*() {
    const pages: Array<ReadonlyArray<SessionRecord>> = []
    let after: string | undefined
    do {
      const page = yield* repository.list({ ...filter, after })
      pages.push(page.sessions)
      after = page.next
    } while (after !== undefined)
    return pages
  })

/** @internal */
export const empty = (repository: SessionRepositoryService) =>
  Effect.flatMap(
    repository.list({ limit: 1000 }),
    ({ sessions }) => Effect.forEach(sessions, ({ sessionId }) => repository.delete(sessionId), { discard: true })
  )

/**
 * Holds for anything of this kind, over a store that is emptied each time.
 *
 * @internal
 */
export const forAll = <A>(
  repository: SessionRepositoryService,
  arbitrary: FastCheck.Arbitrary<A>,
  check: (value: A) => Effect.Effect<void, unknown>
): Effect.Effect<void, unknown> =>
  Effect.forEach(FastCheck.sample(arbitrary, 25), (value) =>
    Effect.zipRight(empty(repository), check(value)).pipe(
      Effect.mapError((error) => new BrokenPromise({ what: String(error), expected: "holds", actual: value }))
    ), { discard: true })

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** As JSON, whatever the order in which an object has its fields. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => one < other ? -1 : 1))
      : inner)
