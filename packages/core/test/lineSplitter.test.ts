import * as MessageParser from "@ccflow/core/MessageParser"
import { assert, describe, it } from "@effect/vitest"
import * as f from "./frames.js"

const MiB = 1024 * 1024

describe("a line", () => {
  it("ends with a newline, and with nothing else that is called a line's end", () => {
    const text = "one\u2028two\u2029three\u0085four"
    const spaced = JSON.stringify(f.result(text)).replace(",", ",\r")
    const { counts, messages } = f.parseBytes([f.bytes([f.assistant("m1", [f.says(text)]), spaced])])
    assert.strictEqual(f.joined(messages), text)
    assert.deepStrictEqual(messages.flatMap((message) => message._tag === "Result" ? message.result : []), [text])
    assert.deepInclude(counts, { frames: 2, noise: 0, damaged: 0 })
  })

  it("may have 64 MiB by default, to the byte, and the stream goes on behind one that has more", () => {
    const [head, foot, next] = ["{\"type\":\"keep_alive\",\"x\":\"", "\"}", f.bytes([f.result("4")])]
    const part = new Uint8Array(MiB).fill("x".charCodeAt(0))
    const length = (over: number) => 64 * MiB + over - head.length - foot.length
    const lineOf = function*(over: number) {
      yield Buffer.from(head)
      for (let left = length(over); left > 0; left -= MiB) yield part.subarray(0, left)
      yield Buffer.from(`${foot}\n`)
    }
    for (const over of [0, 1]) {
      const parser = MessageParser.make()
      for (const chunk of lineOf(over)) assert.deepStrictEqual(f.tags(parser.push([chunk])), lastOf(chunk, over))
      assert.deepStrictEqual(f.tags(parser.push([next])), ["Stop", "Result"])
      assert.deepInclude(parser.counts, { frames: 2 - over, damaged: over })
    }
  })
})

// ---------------------------------------------------------------------------

const lastOf = (chunk: Uint8Array, over: number) => over === 1 && chunk.at(-1) === 0x0a ? ["Unknown"] : []
