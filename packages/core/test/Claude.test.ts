import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import * as Message from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"

const claude = (script: Parameters<typeof FakeCli.layer>[0]) =>
  Claude.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(FakeCli.layer(script), MessageParser.layer, ClaudeConfig.layer))
  )

describe("Claude.query", () => {
  it.effect("yields the messages of the turn in order and ends", () =>
    Effect.gen(function*() {
      const messages = yield* Stream.runCollect(Claude.query("What is 2+2?"))
      assert.deepStrictEqual([...messages].map((message) => message._tag), ["Init", "Text", "Assistant", "Stop", "Result"])
      assert.strictEqual([...messages].reduce(Message.appendText, ""), "4")
      const fake = yield* FakeCli.FakeCli
      assert.deepStrictEqual(yield* fake.prompts, ["What is 2+2?"])
      assert.isTrue((yield* fake.started).every((started) => !started.running))
    }).pipe(Effect.provide(claude([FakeCli.answer("4")]))))
})
