import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { sequential } from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { type ClaudeError, SessionLimitError } from "../ClaudeError.js"
import type { Session } from "../Session.js"
import { pullOf, streamed } from "./streamed.js"

interface Entry {
  readonly session: Session
  readonly closed: Deferred.Deferred<void>
  closing: boolean
  /** Turns that run or wait. */
  turns: number
  usedAt: number
}

/**
 * The sessions that live in a scope. Each is found under the id that it has now, and is gone from here when it is closed,
 * by whom and however that happens.
 */
export class LiveSessions {
  private readonly scope: Scope.Scope
  private readonly limit: number
  private readonly onFull: "fail" | "closeIdle"
  private readonly entries = new Set<Entry>()
  /** Sessions that are being made. */
  private coming = 0

  constructor(scope: Scope.Scope, limit: number, onFull: "fail" | "closeIdle") {
    this.scope = scope
    this.limit = limit
    this.onFull = onFull
  }

  /** One that is not closing. */
  find(sessionId: string): Effect.Effect<Option.Option<Session>> {
    return Effect.map(this.entry(sessionId, (entry) => !entry.closing), Option.map(({ session }) => session))
  }

  /** The same, when what closes has closed. */
  settled(sessionId: string): Effect.Effect<Option.Option<Session>> {
    return Effect.flatMap(
      this.entry(sessionId, () => true),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: ({ closed, closing, session }) =>
          closing ? Effect.zipRight(Deferred.await(closed), this.settled(sessionId)) : Effect.succeedSome(session)
      })
    )
  }

  readonly all: Effect.Effect<ReadonlyArray<Session>> = Effect.sync(() =>
    [...this.entries].filter(({ closing }) => !closing).map(({ session }) => session)
  )

  /** Makes a session and has it among the others. */
  add(make: Effect.Effect<Session, ClaudeError, Scope.Scope>): Effect.Effect<Session, ClaudeError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function*() {
        yield* restore(this.room)
        const scope = yield* Scope.fork(this.scope, sequential)
        const made = yield* Effect.onError(
          restore(Scope.extend(make, scope)),
          () => Effect.ensuring(Scope.close(scope, Exit.void), Effect.sync(() => this.coming--))
        )
        const entry: Entry = {
          session: {
            ...made,
            send: (prompt, options) =>
              streamed(Effect.zipRight(
                Effect.acquireRelease(
                  Effect.sync(() => entry.turns++),
                  () =>
                    Effect.map(Clock.currentTimeMillis, (now) => {
                      entry.turns--
                      entry.usedAt = now
                    })
                ),
                pullOf(made.send(prompt, options))
              )),
            fork: (options) =>
              Effect.flatMap(Effect.scope, (outer) =>
                Effect.tap(
                  this.add(made.fork(options)),
                  (branch) => Scope.addFinalizer(outer, branch.close)
                )),
            close: Effect.suspend(() => {
              entry.closing = true
              return Effect.ensuring(made.close, Scope.close(scope, Exit.void))
            })
          },
          closed: Deferred.unsafeMake<void>(FiberId.none),
          closing: false,
          turns: 0,
          usedAt: yield* Clock.currentTimeMillis
        }
        this.coming--
        this.entries.add(entry)
        yield* Scope.addFinalizer(
          scope,
          Effect.suspend(() => {
            entry.closing = true
            return Effect.map(made.close, () => {
              this.entries.delete(entry)
              Deferred.unsafeDone(entry.closed, Effect.void)
            })
          })
        )
        return entry.session
      })
    )
  }

  private entry(sessionId: string, which: (entry: Entry) => boolean): Effect.Effect<Option.Option<Entry>> {
    return Effect.suspend(() =>
      Effect.findFirst(
        [...this.entries],
        (entry) => which(entry) ? Effect.map(entry.session.id, (id) => id === sessionId) : Effect.succeed(false)
      )
    )
  }

  /** Takes a place among the live. */
  private readonly room: Effect.Effect<void, SessionLimitError> = Effect.suspend(() => {
    if (this.entries.size + this.coming < this.limit) {
      this.coming++
      return Effect.void
    }
    const idle = this.onFull === "fail" ? [] : [...this.entries].filter(({ closing, turns }) => !closing && turns === 0)
    const [longest] = idle.sort((one, other) => one.usedAt - other.usedAt)
    if (longest !== undefined) return Effect.zipRight(longest.session.close, this.room)
    const closing = [...this.entries].find((entry) => entry.closing)
    if (closing !== undefined) return Effect.zipRight(Deferred.await(closing.closed), this.room)
    return Effect.fail(
      new SessionLimitError({
        maxLive: this.limit,
        hint: this.onFull === "fail"
          ? "Close one, or raise maxLive."
          : "All of them are at work: wait for one, or raise maxLive."
      })
    )
  })
}
