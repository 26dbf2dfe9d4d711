import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import { Observers } from "./observed.js"

/**
 * Answers that hold for a while. One question is asked once at a time: by whoever comes first, and by the next in line
 * when the first gives up, so that nothing runs which nobody waits for.
 */
export const remembering = <Question, Answer>({ ask, keyOf, livesFor, same }: {
  readonly ask: (question: Question) => Effect.Effect<Answer>
  /** Questions with the same key are the same. */
  readonly keyOf: (question: Question) => string
  /** In milliseconds. */
  readonly livesFor: (answer: Answer) => number
  readonly same: (one: Answer, other: Answer) => boolean
}) => {
  const told = new Observers<Answer>()
  const answers = new Map<string, { readonly answer: Answer; until: number }>()
  const asking = new Map<string, Deferred.Deferred<Answer | undefined>>()

  const remember = (key: string, answer: Answer, now: number): void => {
    const before = answers.get(key)
    // The newest is the last.
    answers.delete(key)
    answers.set(key, { answer, until: now + livesFor(answer) })
    if (answers.size > most) answers.delete(answers.keys().next().value ?? "")
    if (before === undefined || !same(before.answer, answer)) told.tell(answer)
  }

  const asked = (question: Question, key: string): Effect.Effect<Answer> =>
    Effect.suspend(() => {
      const done = Deferred.unsafeMake<Answer | undefined>(FiberId.none)
      asking.set(key, done)
      return Effect.onExit(ask(question), (exit) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          // Else it was to be forgotten meanwhile.
          if (asking.get(key) === done) {
            asking.delete(key)
            if (Exit.isSuccess(exit)) remember(key, exit.value, now)
          }
          return Deferred.succeed(done, Exit.getOrElse(exit, () => undefined))
        }))
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
      asking.clear()
      for (const known of answers.values()) known.until = -Infinity
    }),
    all: Effect.sync(() => Array.from(answers.values(), ({ answer }) => answer)),
    changes: told.stream
  }
}

// ---------------------------------------------------------------------------

/** Questions whose answers are kept. */
const most = 64
