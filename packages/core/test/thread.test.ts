import type { Message } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import * as f from "./frames.js"

/** What each line gave, of text: what it adds, or how much it takes off. */
const told = (...frames: ReadonlyArray<f.Frame>): ReadonlyArray<ReadonlyArray<string | number>> => {
  const parser = f.parser()
  return frames.map((frame) =>
    parser.push([f.bytes([frame])]).filter((message: Message) => message._tag === "Text")
      .map(({ content, retract }) => retract ?? content)
  )
}

describe("text that the CLI gives up on", () => {
  it("is taken back by the line that says so, and not when something else comes", () => {
    const seen = told(
      f.starts("m1"),
      f.delta("Größe "),
      f.delta("😀"),
      f.abandons("m1"),
      f.starts("m2"),
      f.delta("New")
    )
    assert.deepStrictEqual(seen, [[], ["Größe "], ["😀"], [8], [], ["New"]])
  })

  it("is taken back from the block on that is named, and the blocks before it stay without a word", () => {
    const seen = told(
      f.starts("m1"),
      f.delta("stays "),
      f.delta("goes", 1),
      f.abandons("m1", 1),
      f.assistant("m1", [f.says("stays ")]),
      f.assistant("m2", [f.says("anew")])
    )
    assert.deepStrictEqual(seen, [[], ["stays "], ["goes"], [4], [], ["anew"]])
  })
})
