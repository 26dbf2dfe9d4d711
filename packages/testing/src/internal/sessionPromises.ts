/** What a store promises of sessions and their tags. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Promised } from "../SessionRepositorySuite.js"
import { at, promises, same, session, turnOf, usage } from "./promise.js"

export const sessions: ReadonlyArray<Promised> = promises({
  *"a saved session comes back as it was"(repository) {
    const plain = session("plain")
    const full = session("full", {
      parentId: "plain",
      status: "closed",
      title: "A title",
      model: "opus",
      cwd: "/home/me/a project",
      tags: ["a", "b"],
      createdAt: 1_700_000_000_000,
      updatedAt: 1_800_000_000_000,
      turnCount: 3,
      usage: usage(3_000_000_000),
      costUsd: 0.1 + 0.2,
      durationMs: 12.5,
      options: { model: "opus", nested: { list: [1, null, "x"], flag: true } },
      cliVersion: "2.1.330"
    })
    yield* repository.save(plain)
    yield* repository.save(full)
    yield* same("plain", yield* repository.get("plain"), Option.some(plain))
    yield* same("full", yield* repository.get("full"), Option.some(full))
  },

  *"saving again replaces everything but the figures and the tags, which others move meanwhile"(repository) {
    const before = session("s", { title: "old", model: "opus", tags: ["a"], parentId: "p", cliVersion: "1" })
    yield* repository.save(before)
    yield* repository.addTags("s", ["meanwhile"])
    yield* repository.beginTurn(turnOf("t"))
    yield* repository.endTurn("t", { status: "completed", usage: usage(1), costUsd: 0.5 })
    const stored = Option.getOrThrow(yield* repository.get("s"))
    const after = session("s", {
      status: "expired",
      title: "new",
      cwd: "/else",
      tags: ["b"],
      createdAt: 5,
      updatedAt: 6,
      options: { now: true },
      turnCount: 77,
      costUsd: 77,
      durationMs: 77,
      usage: usage(77)
    })
    yield* repository.save(after)
    const { costUsd, durationMs, tags, turnCount, usage: tokens } = stored
    yield* same("figures", { costUsd, turnCount, tokens }, { costUsd: 0.5, turnCount: 1, tokens: usage(1) })
    yield* same("tags", tags, ["a", "meanwhile"])
    const kept = { ...after, costUsd, durationMs, tags, turnCount, usage: tokens }
    yield* same("s", yield* repository.get("s"), Option.some(kept))
    yield* repository.removeTags("s", ["a"])
    yield* repository.save(stored)
    yield* same("removed meanwhile", Option.getOrThrow(yield* repository.get("s")).tags, ["meanwhile"])
    yield* repository.save(after)
    yield* same("by its new title", yield* repository.count({ search: "NEW" }), 1)
    yield* same("by its old one", yield* repository.count({ search: "old" }), 0)
  },

  *"text comes back as it was, but for what no database can hold in a title"(repository) {
    const awkward = "'\"; DROP TABLE ccflow_sessions; -- % _ \\ \u0000 \n é \u{1F600} \uD83D"
    const error = { tag: awkward, message: awkward }
    yield* repository.save(session("s", { title: awkward, options: { [awkward]: awkward } }))
    yield* repository.beginTurn(turnOf("t", { prompt: [{ type: "text", text: awkward }] }))
    yield* repository.progress("t", awkward)
    yield* repository.appendMessages("t", [{ awkward }, awkward, null, 0, [awkward]])
    yield* repository.endTurn("t", { status: "failed", result: awkward, error })
    const stored = Option.getOrThrow(yield* repository.get("s"))
    yield* same("title", stored.title, awkward.replace("\u0000", "\uFFFD").replace(/\uD83D$/, "\uFFFD"))
    yield* same("options", stored.options, { [awkward]: awkward })
    const [turn] = (yield* repository.turns("s")).turns
    yield* same("prompt", turn?.prompt, [{ type: "text", text: awkward }])
    yield* same("texts", [turn?.seen, turn?.result, turn?.error], [awkward, awkward, error])
    yield* same("messages", (yield* repository.messages("t")).messages, [{ awkward }, awkward, null, 0, [awkward]])
  },

  *"what cannot be stored is refused with an error, and nothing changes"(repository) {
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    const refused = [
      repository.save(session("s", { costUsd: Number.NaN })),
      repository.save(session("s", { createdAt: 1.5 })),
      repository.save(session("")),
      repository.save(session("s", { options: circle })),
      repository.save(session("s", { options: { big: 1n } }))
    ]
    for (const save of refused) yield* same("refusal", (yield* Effect.flip(save))._tag, "SessionStoreError")
    yield* same("stored", yield* repository.count(), 0)
    yield* repository.save(session("s"))
    yield* repository.beginTurn(turnOf("t"))
    const error = yield* Effect.flip(repository.appendMessages("t", ["fine", circle]))
    yield* same("refusal", [error._tag, error.operation], ["SessionStoreError", "appendMessages"])
    yield* same("messages", (yield* repository.messages("t")).messages, [])
  },

  *"what is unknown is not there, and cannot be changed"(repository) {
    yield* same("get", yield* repository.get("nobody"), Option.none())
    yield* same("delete", yield* repository.delete("nobody"), false)
    yield* same("addTags", yield* repository.addTags("nobody", ["a"]), false)
    yield* same("removeTags", yield* repository.removeTags("nobody", ["a"]), false)
    yield* same("progress", yield* repository.progress("nothing", "x"), false)
    yield* same("endTurn", yield* repository.endTurn("nothing", { status: "completed" }), false)
    yield* same("appendMessages", yield* repository.appendMessages("nothing", ["x"]), false)
    yield* same("messages", yield* repository.messages("nothing"), { messages: [] })
    yield* same("turns", yield* repository.turns("nobody"), { turns: [] })
    yield* same("lease", yield* repository.lease("nobody"), Option.none())
    yield* same("renewLease", yield* repository.renewLease("nobody", "me", 1000), false)
    yield* same("releaseLease", yield* repository.releaseLease("nobody", "me"), false)
    yield* same("recover", yield* repository.recover(() => false), [])
    const error = yield* Effect.flip(repository.beginTurn(turnOf("t", { sessionId: "nobody" })))
    yield* same("beginTurn", error._tag, "SessionNotFoundError")
    yield* same("stored", yield* repository.list(), { sessions: [] })
    yield* repository.save(session("nobody"))
    yield* same("tags", Option.getOrThrow(yield* repository.get("nobody")).tags, [])
  },

  *"tags are kept once each, in order, and are what they are to the letter"(repository) {
    yield* repository.save(session("s", { tags: ["b", "a", "b"] }))
    yield* repository.save(session("other", { tags: ["a"] }))
    const tags = Effect.map(repository.get("s"), (found) => Option.getOrThrow(found).tags)
    yield* same("saved", yield* tags, ["a", "b"])
    yield* same("added", yield* repository.addTags("s", ["x%y", "A", "a", "é"]), true)
    yield* same("added", yield* tags, ["A", "a", "b", "x%y", "é"])
    yield* same("none", yield* repository.addTags("s", []), true)
    yield* same("removed", yield* repository.removeTags("s", ["a", "unknown", "x_y"]), true)
    yield* same("none", yield* repository.removeTags("s", []), true)
    yield* same("removed", yield* tags, ["A", "b", "x%y", "é"])
    yield* same("other", Option.getOrThrow(yield* repository.get("other")).tags, ["a"])
  },

  *"deleting takes turns, messages, tags and lease with it, and nothing of other sessions"(repository) {
    for (const id of ["s", "other"]) {
      yield* repository.save(session(id, { tags: [id] }))
      yield* repository.beginTurn(turnOf(`t-${id}`, { sessionId: id }))
      yield* repository.appendMessages(`t-${id}`, [id])
      yield* repository.acquireLease(id, "me", "1 minute")
    }
    const other = yield* repository.get("other")
    yield* same("deleted", yield* repository.delete("s"), true)
    yield* same("again", yield* repository.delete("s"), false)
    yield* same("session", yield* repository.get("s"), Option.none())
    yield* same("turns", yield* repository.turns("s"), { turns: [] })
    yield* same("messages", yield* repository.messages("t-s"), { messages: [] })
    yield* same("lease", yield* repository.lease("s"), Option.none())
    yield* same("end", yield* repository.endTurn("t-s", { status: "completed" }), false)
    yield* repository.save(session("s"))
    yield* same("tags", Option.getOrThrow(yield* repository.get("s")).tags, [])
    yield* same("other", yield* repository.get("other"), other)
    yield* same("its turns", (yield* repository.turns("other")).turns.length, 1)
    yield* same("its messages", (yield* repository.messages("t-other")).messages, ["other"])
    yield* same("its lease", Option.isSome(yield* repository.lease("other")), true)
  },

  *"what was given can be changed afterwards without changing what is stored"(repository) {
    const options = { list: [1] }
    const blocks = [{ type: "text", text: "hi" }]
    yield* repository.save(session("s", { options }))
    yield* repository.beginTurn(turnOf("t", { prompt: blocks }))
    options.list.push(2)
    blocks.push({ type: "text", text: "more" })
    yield* same("options", Option.getOrThrow(yield* repository.get("s")).options, { list: [1] })
    yield* same("prompt", (yield* repository.turns("s")).turns[0]?.prompt, [{ type: "text", text: "hi" }])
  },

  *"reading changes nothing"(repository) {
    yield* at(2_000)(Effect.gen(function*() {
      yield* repository.save(session("s", { tags: ["a"] }))
      yield* repository.beginTurn(turnOf("t"))
      yield* repository.acquireLease("s", "me", 500)
    }))
    const everything = Effect.all([
      repository.get("s"),
      repository.list({ search: "h" }),
      repository.count(),
      repository.turns("s"),
      repository.messages("t")
    ])
    const first = yield* at(2_100)(everything)
    yield* same("later", yield* at(9_000)(everything), first)
    yield* at(9_000)(repository.lease("s"))
    yield* same("an expired lease", yield* at(9_000)(repository.renewLease("s", "me", 500)), true)
  }
})
