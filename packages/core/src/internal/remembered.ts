import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import type * as Stream from "effect/Stream"
import { Observers } from "./observed.js"

/** @internal */
export interface Remembering<Question, Answer> {
  readonly ask: (question: Question) => Effect.Effect<Answer>
  /** Questions with the same key are the same. */
  readonly keyOf: (question: Question) => string
  /** In milliseconds. */
  readonly livesFor: (answer: Answer) => number
  readonly same: (one: Answer, other: Answer) => boolean
}

/** @internal */
export interface Remembered<Question, Answer> {
  readonly get: (question: Question, force: boolean) => Effect.Effect<Answer>
  readonly forget: Effect.Effect<void>
  readonly all: Effect.Effect<ReadonlyArray<Answer>>
  readonly changes: Stream.Stream<Answer>
}

/**
 * Answers that hold for a while. One question is asked once at a time: by whoever comes first, and by the next in line
 * when the first gives up, so that nothing runs which nobody waits for.
 *
 * @internal
 */
export const remembering = <Question, Answer>(
  { ask, keyOf, livesFor, same }: Remembering<Question, Answer>
): Effect.Effect<Remembered<Question, Answer>> =>
  Effect.sync(() => {
    const told = new Observers<Answer>({ messages: observed, bytes: Infinity })
    const answers = new Map<string, { readonly answer: Answer; until: number }>()
    const asking = new Map<string, Deferred.Deferred<Answer | undefined>>()
    let age = 0

    const remember = (key: string, answer: Answer, asOf: number) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (asOf !== age) return
        const before = answers.get(key)
        answers.delete(key)
        answers.set(key, { answer, until: now + livesFor(answer) })
        for (const [oldest] of answers) {
          if (answers.size <= most) break
          answers.delete(oldest)
        }
        if (before === undefined || !same(before.answer, answer)) told.tell(answer)
      })

    const asked = (question: Question, key: string): Effect.Effect<Answer> =>
      Effect.suspend(() => {
        const done = Deferred.unsafeMake<Answer | undefined>(FiberId.none)
        const asOf = age
        asking.set(key, done)
        return Effect.onExit(
          Effect.tap(ask(question), (answer) => Effect.uninterruptible(remember(key, answer, asOf))),
          (exit) =>
            Effect.suspend(() => {
              if (asking.get(key) === done) asking.delete(key)
              return Deferred.succeed(done, Exit.isSuccess(exit) ? exit.value : undefined)
            })
        )
      })

    const get = (question: Question, force: boolean): Effect.Effect<Answer> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const key = keyOf(question)
        const known = answers.get(key)
        if (!force && known !== undefined && now < known.until) return Effect.succeed(known.answer)
        const running = asking.get(key)
        return running === undefined
          ? asked(question, key)
          : Effect.flatMap(
            Deferred.await(running),
            (answer) => answer === undefined ? get(question, force) : Effect.succeed(answer)
          )
      })

    return {
      get,
      forget: Effect.sync(() => {
        age++
        asking.clear()
        for (const known of answers.values()) known.until = -Infinity
      }),
      all: Effect.sync(() => Array.from(answers.values(), ({ answer }) => answer)),
      changes: told.stream
    }
  })

// ---------------------------------------------------------------------------

/** Changes that are kept for a slow observer. */
const observed = 64

/** Questions whose answers are kept. */
const most = 64
