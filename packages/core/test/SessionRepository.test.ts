import { layerMemory, SessionRepository } from "@ccflow/core/SessionRepository"
import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"

it.effect("x", () => Effect.gen(function*() {
  const r = yield* SessionRepository
  yield* r.save({ sessionId: "a", status: "open", title: "T", cwd: "/", tags: ["b", "a", "b"], createdAt: 1, updatedAt: 1, turnCount: 0, usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 }, costUsd: 0, durationMs: 0, options: {} })
  const t = yield* r.beginTurn({ turnId: "t", sessionId: "a", prompt: "hi", holder: "me" })
  assert.isTrue(yield* r.endTurn("t", { status: "completed", result: "yo", costUsd: 1 }))
  console.log(Option.getOrThrow(yield* r.get("a")), t, yield* r.list({ search: "HI" }), yield* r.turns("a"))
}).pipe(Effect.provide(layerMemory)))
