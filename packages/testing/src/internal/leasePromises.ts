/** What a store promises of leases, and of turns whose holder is gone. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Promised } from "../SessionRepositorySuite.js"
import { at, promises, same, session, turnOf, usage } from "./promise.js"

export const leases: ReadonlyArray<Promised> = promises({
  *"a session has one holder at a time: a second one is told who and until when"(repository) {
    const lease = yield* at(1_000)(repository.acquireLease("s", "me", "1 second"))
    yield* same("lease", lease, { sessionId: "s", holder: "me", expiresAt: 2_000 })
    yield* same("lease", yield* at(1_500)(repository.lease("s")), Option.some(lease))
    const error = yield* at(1_999)(Effect.flip(repository.acquireLease("s", "you", "1 second")))
    yield* same("error", error._tag, "SessionBusyError")
    if (error._tag === "SessionBusyError") {
      yield* same("facts", [error.sessionId, error.holder, error.until], ["s", "me", 2_000])
    }
    yield* same("other", (yield* at(1_000)(repository.acquireLease("other", "you", 5))).holder, "you")
  },

  *"a lease can be renewed, by taking it again as well, and given back"(repository) {
    yield* at(1_000)(repository.acquireLease("s", "me", 1_000))
    yield* same("again", (yield* at(1_500)(repository.acquireLease("s", "me", 1_000))).expiresAt, 2_500)
    yield* same("renewed", yield* at(2_400)(repository.renewLease("s", "me", 1_000)), true)
    yield* same("not by others", yield* at(2_500)(repository.renewLease("s", "you", 9_000)), false)
    yield* same("not by others", yield* at(2_500)(repository.releaseLease("s", "you")), false)
    yield* same("until", Option.getOrThrow(yield* at(3_399)(repository.lease("s"))).expiresAt, 3_400)
    yield* same("given back", yield* at(3_000)(repository.releaseLease("s", "me")), true)
    yield* same("nobody's", yield* at(3_000)(repository.lease("s")), Option.none())
    yield* same("gone", yield* at(3_000)(repository.renewLease("s", "me", 1_000)), false)
    yield* same("free", (yield* at(3_000)(repository.acquireLease("s", "you", 1_000))).holder, "you")
  },

  *"a lease that has expired is anybody's, and its old holder learns that it is gone"(repository) {
    yield* at(1_000)(repository.acquireLease("s", "me", 1_000))
    yield* same("expired", yield* at(2_000)(repository.lease("s")), Option.none())
    yield* same("late, but nobody took it", yield* at(2_000)(repository.renewLease("s", "me", 1_000)), true)
    yield* same("taken", (yield* at(3_000)(repository.acquireLease("s", "you", 1_000))).holder, "you")
    yield* same("gone", yield* at(3_001)(repository.renewLease("s", "me", 1_000)), false)
    yield* same("gone", yield* at(3_001)(repository.releaseLease("s", "me")), false)
    const error = yield* at(3_001)(Effect.flip(repository.acquireLease("s", "me", 1_000)))
    yield* same("error", error._tag, "SessionBusyError")
  },

  *"a dead holder's lease is taken over, a live one's is not"(repository) {
    yield* at(1_000)(repository.acquireLease("s", "dead", "1 hour"))
    const asked: Array<string> = []
    const alive = (holder: string) => Effect.sync(() => asked.push(holder) > 0 && holder !== "dead")
    const lease = yield* at(1_500)(repository.acquireLease("s", "me", 1_000, alive))
    yield* same("taken over", lease, { sessionId: "s", holder: "me", expiresAt: 2_500 })
    yield* same("gone", yield* at(1_500)(repository.renewLease("s", "dead", 1_000)), false)
    const error = yield* at(1_600)(Effect.flip(repository.acquireLease("s", "you", 1_000, alive)))
    yield* same("alive", error._tag, "SessionBusyError")
    yield* at(1_600)(repository.acquireLease("s", "me", 1_000, alive))
    yield* same("asked", asked, ["dead", "me"])
  },

  *"of many who want a session at once, one gets it"(repository) {
    const names = Array.from({ length: 16 }, (_, index) => `h${index}`)
    const taken = yield* Effect.forEach(
      names,
      (holder) => Effect.option(repository.acquireLease("s", holder, "1 minute", () => true)),
      { concurrency: "unbounded" }
    )
    yield* same("holders", taken.filter(Option.isSome).length, 1)
  },

  *"a lease without end lasts"(repository) {
    yield* repository.acquireLease("s", "me", Duration.infinity)
    yield* same("held", Option.isSome(yield* repository.lease("s")), true)
    yield* same("error", (yield* Effect.flip(repository.acquireLease("s", "you", 1)))._tag, "SessionBusyError")
  },

  *"a start marks the turns that nobody runs any more as cut, with what was seen, and no others"(repository) {
    // One was cut before it had said anything.
    const seen = (id: string) => id === "free" ? "" : `seen ${id}`
    const begin = (id: string, holder: string) =>
      Effect.gen(function*() {
        yield* repository.save(session(id))
        yield* repository.beginTurn(turnOf(`t-${id}`, { sessionId: id, holder }))
        if (seen(id) !== "") yield* repository.progress(`t-${id}`, seen(id))
      })
    yield* at(1_000)(Effect.gen(function*() {
      for (const id of ["live", "expired", "lost", "done"]) yield* begin(id, "me")
      yield* begin("dead", "dead")
      yield* begin("free", "me")
      for (const id of ["live", "done"]) yield* repository.acquireLease(id, "me", 10_000)
      yield* repository.acquireLease("expired", "me", 500)
      yield* repository.acquireLease("lost", "you", 10_000)
      yield* repository.acquireLease("dead", "dead", 10_000)
      yield* repository.endTurn("t-done", { status: "completed" })
    }))
    const before = yield* repository.get("expired")
    const cut = yield* at(2_000)(repository.recover((holder) => holder !== "dead"))
    yield* same("cut", cut.map(({ sessionId }) => sessionId).sort(), ["dead", "expired", "free", "lost"])
    for (const turn of cut) {
      yield* same(turn.turnId, [turn.status, turn.seen, turn.endedAt], ["cut", seen(turn.sessionId), 2_000])
      yield* same("stored", (yield* repository.turns(turn.sessionId)).turns, [turn])
    }
    yield* same("live", (yield* repository.turns("live")).turns[0]?.status, "running")
    yield* same("done", (yield* repository.turns("done")).turns[0]?.status, "completed")
    yield* same("session", yield* repository.get("expired"), before)
    yield* same("again", yield* at(2_000)(repository.recover(() => Effect.succeed(true))), [])
    const later = yield* at(20_000)(repository.recover(() => true))
    yield* same("later", later.map(({ turnId }) => turnId), ["t-live"])
  },

  *"a turn that was taken for cut still ends when its holder comes back, and counts once"(repository) {
    yield* repository.save(session("s"))
    yield* at(1_000)(repository.beginTurn(turnOf("t")))
    yield* at(2_000)(repository.recover(() => false))
    yield* same("progress", yield* repository.progress("t", "late"), false)
    const end = { status: "completed", result: "Hello", usage: usage(1), costUsd: 1 } as const
    yield* same("ended", yield* at(3_000)(repository.endTurn("t", end)), true)
    yield* same("again", yield* at(3_000)(repository.endTurn("t", end)), false)
    const [turn] = (yield* repository.turns("s")).turns
    yield* same("turn", [turn?.status, turn?.result, turn?.endedAt], ["completed", "Hello", 3_000])
    const after = session("s", { updatedAt: 3_000, turnCount: 1, usage: usage(1), costUsd: 1, durationMs: 2_000 })
    yield* same("session", yield* repository.get("s"), Option.some(after))
  }
})
