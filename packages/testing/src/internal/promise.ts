/** What promises are written with, those of a session store first of all. */
import type { SessionRecord, TurnStart } from "@ccflow/core/SessionRecord"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type { YieldWrap } from "effect/Utils"

/** One promise, and the program that holds a service to it: it fails when the promise is broken. */
export interface PromiseOf<I> {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, I>
}

/** The body of such a program, as `Effect.gen` takes it. */
export type Holding<R = never> = Generator<YieldWrap<Effect.Effect<unknown, unknown, R>>, void, never>

export class BrokenPromise extends Data.TaggedError("BrokenPromise")<{
  readonly what: string
  readonly expected: unknown
  readonly actual: unknown
}> {
  override get message(): string {
    return `${this.what}\nexpected: ${JSON.stringify(this.expected)}\nactual:   ${JSON.stringify(this.actual)}`
  }
}

/** Promises by their names, over whatever service of the kind is there. */
export const promisesOf =
  <I, S>(tag: Context.Tag<I, S>) =>
  (promises: Readonly<Record<string, (service: S) => Holding>>): ReadonlyArray<PromiseOf<I>> =>
    Object.entries(promises).map(([name, run]) => ({
      name,
      run: Effect.flatMap(tag, (service) => Effect.gen(() => run(service)))
    }))

export const promises = promisesOf(SessionRepository)

export const same = (what: string, actual: unknown, expected: unknown): Effect.Effect<void, BrokenPromise> =>
  canonical(actual) === canonical(expected) ? Effect.void : Effect.fail(new BrokenPromise({ what, expected, actual }))

/** Runs something at a time, in UTC epoch milliseconds. */
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

/** Of session `s`, as it begins. */
export const turnOf = (turnId: string, fields: Partial<TurnStart> = {}): TurnStart => ({
  turnId,
  sessionId: "s",
  prompt: "hi",
  holder: "me",
  ...fields
})

export const usage = (tokens: number) => ({
  inputTokens: tokens,
  outputTokens: tokens * 2,
  cacheReadInputTokens: tokens * 3,
  cacheCreationInputTokens: tokens * 4
})

export const ids = (sessions: ReadonlyArray<SessionRecord>): ReadonlyArray<string> =>
  sessions.map(({ sessionId }) => sessionId)

/** All pages of a listing, one after the other. */
export const everyPage = <P extends { readonly next?: unknown }, E>(
  read: (after: NonNullable<P["next"]> | undefined) => Effect.Effect<P, E>
): Effect.Effect<ReadonlyArray<P>, E> =>
  Effect.gen(function*() {
    const pages: Array<P> = []
    do pages.push(yield* read(pages.at(-1)?.next ?? undefined))
    while (pages.at(-1)?.next !== undefined)
    return pages
  })

/** Holds for anything of this kind, over a store that is emptied each time. */
export const forAll = <A>(
  repository: SessionRepositoryService,
  arbitrary: FastCheck.Arbitrary<A>,
  check: (value: A) => Effect.Effect<void, unknown>
): Effect.Effect<void, unknown> =>
  Effect.gen(function*() {
    for (const value of FastCheck.sample(arbitrary, 25)) {
      for (const id of ids((yield* repository.list({ limit: 1000 })).sessions)) yield* repository.delete(id)
      yield* Effect.mapError(
        check(value),
        (error) => new BrokenPromise({ what: String(error), expected: "holds", actual: value })
      )
    }
  })

// ---------------------------------------------------------------------------

/** As JSON, whatever the order in which an object has its fields. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => one < other ? -1 : 1))
      : inner)
