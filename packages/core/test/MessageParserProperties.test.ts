import { type Assistant, is, Message, type Result } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc, Schema } from "effect"
import * as f from "./frames.js"
import { pathsOf, replaced, without } from "./mutation.js"
import { recordedFrames, recordedLines, recordedRuns } from "./recorded.js"

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))

const isMessage = Schema.is(Message)

/** What must hold of the messages of any output whatever: they are what their types say, and take back no more than is there. */
const areSound = (messages: ReadonlyArray<Message>): void => {
  const shown: Record<string, number> = {}
  for (const message of messages) {
    assert.isTrue(isMessage(message), message._tag)
    if (message._tag !== "Text" && message._tag !== "Thinking") continue
    const thread = `${message._tag} ${message.parentToolUseId}`
    const left = (shown[thread] ?? 0) - (message.retract ?? 0)
    assert.isAtLeast(left, 0)
    shown[thread] = left + message.content.length
  }
}

describe("any re-chunking of the bytes gives the same messages", { timeout: 60_000 }, () => {
  const tricky: ReadonlyArray<Uint8Array> = [
    ...[
      "\ufeff" + JSON.stringify(f.init),
      JSON.stringify(f.assistant("m1", [f.says("a\u2028b\u2029c\u0085 😀👨‍👩‍👧 — \ud83d")])),
      JSON.stringify(f.result("lone \ud800 \udc00, pair 😀")) + "\r",
      "noise — 😀\u2028{\"type\":\"result\"}",
      "{broken 😀",
      "",
      "\r",
      "  ",
      "\ufeff"
    ].map(encode),
    Uint8Array.of(0xff, 0xfe, 0xe2, 0x82),
    concat([encode("{\"type\":\"weird\",\"text\":\""), Uint8Array.of(0xf0, 0x9f, 0x98, 0x22, 0x7d)]),
    concat([encode("{"), Uint8Array.of(0xc3, 0x28, 0x80)])
  ]

  const line = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...recordedLines.map(encode)) },
    { weight: 4, arbitrary: fc.constantFrom(...tricky) }
  )
  const output = fc.record({
    lines: fc.array(line, { maxLength: 12 }),
    ending: fc.constantFrom("", "\n", "\r\n", "{\"type\":\"cut\",\"of", "{\"type\":\"whole\"}", "no json"),
    maxLineBytes: fc.constantFrom(undefined, 1, 5, 300, 2000)
  })
  const bytesOf = ({ ending, lines }: { readonly lines: ReadonlyArray<Uint8Array>; readonly ending: string }) =>
    concat([...lines.flatMap((bytes) => [bytes, Uint8Array.of(0x0a)]), encode(ending)])

  it("cut anywhere", () =>
    fc.assert(
      fc.property(output, fc.array(fc.nat(), { maxLength: 40 }), (drawn, cuts) => {
        const all = bytesOf(drawn)
        const at = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length]
        const chunks = at.slice(1).map((to, index) => all.slice(at[index], to))
        assert.deepStrictEqual(f.parseBytes(chunks, drawn), f.parseBytes([all], drawn))
      }),
      { numRuns: 300 }
    ))

  it("byte by byte", () =>
    fc.assert(
      fc.property(output, (drawn) => {
        const all = bytesOf(drawn)
        const one = Array.from(all, (byte) => Uint8Array.of(byte))
        assert.deepStrictEqual(f.parseBytes(one, drawn), f.parseBytes([all], drawn))
      }),
      { numRuns: 60 }
    ))

  it("and a read's buffer may be used again at once", () => {
    const all = f.bytes([f.init, f.assistant("m1", [f.says("😀".repeat(500))]), f.result("x")])
    const buffer = new Uint8Array(7)
    const parts: Array<Message> = []
    const parser = f.parser()
    for (let from = 0; from < all.length; from += buffer.length) {
      const read = all.subarray(from, from + buffer.length)
      buffer.set(read)
      parts.push(...parser.push([buffer.subarray(0, read.length)]))
      buffer.fill(0x7b)
    }
    assert.deepStrictEqual([...parts, ...parser.end()], f.parseBytes([all]).messages)
  })
})

// ---------------------------------------------------------------------------

const anything = fc.constantFrom<unknown>(
  without,
  null,
  true,
  0,
  -1,
  1e308,
  0.5,
  "",
  "text",
  "💥\u0000\ud800",
  "x".repeat(100_000),
  [],
  {},
  [[null]],
  [{}],
  [{ type: "text" }, { type: "tool_result" }, { type: "tool_use", id: "a", name: "b" }],
  { type: "text", text: null },
  { toString: 1, constructor: null, hasOwnProperty: "no" },
  Object.fromEntries([["__proto__x", 1], ["length", -1]]),
  Array.from({ length: 5000 }, (_, id) => ({ id }))
)

describe("no field of any line", { timeout: 60_000 }, () => {
  const mutation = fc.record({ run: fc.constantFrom(...recordedRuns), frame: fc.nat(), path: fc.nat(), by: anything })

  it("can break the parser by being deleted or changed, at any depth", () =>
    fc.assert(
      fc.property(mutation, fc.boolean(), ({ by, frame, path, run }, twice) => {
        const chosen = run[frame % run.length]!
        const paths = pathsOf(chosen)
        const mutant = JSON.stringify(replaced(chosen, paths[path % paths.length]!, by))
        const lines = run.flatMap<f.Frame | string>((line) =>
          line !== chosen ? [line] : twice ? [mutant, mutant] : [mutant]
        )
        const { counts, messages } = f.parseBytes([f.bytes(lines)])
        areSound(messages)
        assert.strictEqual(counts.frames, lines.length)
      }),
      { numRuns: 1500 }
    ))

  it("can, of any kind of line, whatever it is changed to: each once", () => {
    for (const frame of recordedFrames) {
      for (const path of pathsOf(frame)) {
        for (const by of [without, null, 7, "7", [], {}, [7], { type: 7 }]) {
          areSound(f.parse(f.init, JSON.stringify(replaced(frame, path, by)), f.result("4")))
        }
      }
    }
  })

  it("can by being nested deeper than any stack", () => {
    const depth = 200_000
    const deep = `${"[".repeat(depth)}${"]".repeat(depth)}`
    for (const frame of [f.assistant("m1", [f.says("a")]), f.gives("tu1", "a"), f.result("a"), f.init]) {
      const text = JSON.stringify(frame)
      for (const field of Object.keys(frame)) {
        const nested = text.replace(JSON.stringify(frame[field]), deep)
        assert.deepStrictEqual(f.tags(f.parse(nested, f.result("4"))).slice(-2), ["Stop", "Result"])
      }
    }
  })
})

describe("noise between the frames", { timeout: 60_000 }, () => {
  const noise = fc.oneof(
    fc.string().map((text) => text.replaceAll(/[\n{]/g, "")),
    fc.constantFrom("[]", "[{\"type\":\"result\"}]", "42", "null", "\"{}\"", "{".padStart(2, "x"), "\ufeff", "\u2028")
  )

  it("changes nothing but a count", () =>
    fc.assert(
      fc.property(fc.constantFrom(...recordedRuns), fc.array(fc.tuple(fc.nat(), noise)), (run, inserted) => {
        const lines: Array<f.Frame | string> = [...run]
        for (const [at, text] of inserted) lines.splice(at % (lines.length + 1), 0, text)
        const clean = f.parseBytes([f.bytes(run)])
        const noisy = f.parseBytes([f.bytes(lines)])
        assert.deepStrictEqual([noisy.messages, noisy.control], [clean.messages, clean.control])
        const heard = inserted.filter(([, text]) => text.trim() !== "").length
        assert.deepStrictEqual({ ...noisy.counts, bytes: 0 }, { ...clean.counts, bytes: 0, noise: heard })
      }),
      { numRuns: 150 }
    ))
})

describe("usage on the lines of a message", () => {
  const usage = fc.record({
    input_tokens: fc.nat(),
    output_tokens: fc.nat(),
    cache_read_input_tokens: fc.nat(),
    cache_creation_input_tokens: fc.nat()
  }, { requiredKeys: [] })
  const totals = (usages: ReadonlyArray<f.Frame | null>) => {
    const messages = f.parse(
      ...usages.map((usage, index) =>
        f.assistant("m1", [f.says(`${index}`)], {
          message: { id: "m1", model: "x", content: [f.says(`${index}`)], usage }
        })
      ),
      f.result("")
    )
    return [...messages.filter(is("Assistant")), ...messages.filter(is("Result"))].map(({ usage }) => usage)
  }

  it("is counted once, in whatever order and however often it is told", () =>
    fc.assert(
      fc.property(
        fc.array(usage, { minLength: 1, maxLength: 6 }).chain((usages) =>
          fc.tuple(
            fc.constant(usages),
            fc.shuffledSubarray([...usages, ...usages, null], { minLength: 2 * usages.length + 1 })
          )
        ),
        ([usages, again]) => assert.deepStrictEqual(totals(again), totals(usages))
      )
    ))
})

// ---------------------------------------------------------------------------

const textOf = (frames: ReadonlyArray<f.Frame>, parent: string | null): string =>
  frames.map((frame) =>
    frame["type"] !== "assistant" || frame["parent_tool_use_id"] !== parent ? "" : blocksOf(frame)
      .map((block) => Reflect.get(block, "type") === "text" ? String(Reflect.get(block, "text")) : "").join("")
  ).join("")

const blocksOf = ({ message }: f.Frame): ReadonlyArray<object> => {
  const content: unknown = typeof message === "object" && message !== null ? Reflect.get(message, "content") : undefined
  return Array.isArray(content) ? content : []
}

describe("the joined text is that of the assistant lines", { timeout: 60_000 }, () => {
  const sub = { parent_tool_use_id: "toolu_agent" }
  const step = (beside: f.Frame): fc.Arbitrary<f.Frame> => {
    const id = fc.constantFrom("m1", "m2")
    const text = fc.constantFrom("", "a", "ab", "b", "😀", "\ud83d")
    const index = fc.nat(1)
    return fc.oneof(
      { weight: 2, arbitrary: id.map((id) => f.starts(id, beside)) },
      { weight: 6, arbitrary: fc.tuple(text, index).map(([text, index]) => f.delta(text, index, beside)) },
      { weight: 4, arbitrary: fc.tuple(id, text).map(([id, text]) => f.assistant(id, [f.says(text)], beside)) },
      {
        weight: 1,
        arbitrary: id.map((id) => f.assistant(id, [f.says("ab"), f.uses("tu1", "Bash"), f.says("c")], beside))
      },
      { weight: 1, arbitrary: fc.tuple(id, index).map(([id, from]) => ({ ...f.abandons(id, from), ...beside })) },
      { weight: 1, arbitrary: fc.constant(f.stops(beside)) },
      { weight: 1, arbitrary: fc.constant({ ...f.ends("end_turn", 5), ...beside }) },
      { weight: 1, arbitrary: fc.constant(f.gives("tu1", "x", beside)) },
      { weight: 1, arbitrary: fc.constant(f.user("go on", beside)) }
    )
  }
  const frames = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: step({ parent_tool_use_id: null }) },
      { weight: 4, arbitrary: step(sub) },
      { weight: 1, arbitrary: fc.constantFrom(f.init, f.result(""), f.gives("toolu_agent", "done")) }
    ),
    { maxLength: 40 }
  )

  it("after any order of events whatever, in the main thread and in a subagent's", () =>
    fc.assert(
      fc.property(frames, (frames) => {
        const messages = f.parse(...frames)
        areSound(messages)
        assert.strictEqual(f.joined(messages), textOf(frames, null))
        assert.strictEqual(f.joined(messages, "toolu_agent"), textOf(frames, "toolu_agent"))
      }),
      { numRuns: 3000 }
    ))

  const rest = (messages: ReadonlyArray<Message>) => ({
    text: f.joined(messages),
    assistants: messages.filter(is("Assistant")).map(({ content, messageId }: Assistant) => [messageId, content]),
    results: messages.filter(is("Result")).map((result: Result) => result),
    tools: messages.filter((message) => message._tag === "ToolUse" || message._tag === "ToolResult")
  })

  it("with the stream events of a real run deleted or told twice", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...recordedRuns.filter((run) => run.some(({ type }) => type === "stream_event"))),
        fc.infiniteStream(fc.constantFrom(0, 1, 1, 2)),
        (run, times) => {
          const fewer = run.flatMap((frame) =>
            frame["type"] === "stream_event" ? Array.from({ length: times.next().value ?? 1 }, () => frame) : [frame]
          )
          const messages = f.parse(...fewer)
          areSound(messages)
          assert.deepStrictEqual(rest(messages), rest(f.parse(...run)))
        }
      ),
      { numRuns: 300 }
    ))

  it("with partial messages on as with them off", () => {
    for (const run of recordedRuns) {
      const off = run.filter(({ type }) => type !== "stream_event")
      assert.deepStrictEqual(rest(f.parse(...run)), rest(f.parse(...off)))
    }
  })
})
