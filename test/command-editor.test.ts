import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { assert, describe, it } from "vitest"
import { type Edited, empty, inserted, layout, press } from "../packages/ccflow/src/internal/editor.js"
import { optionsFirst } from "../packages/ccflow/src/internal/running.js"
import { oneLine } from "../packages/ccflow/src/internal/safe.js"
import { render } from "../packages/ccflow/src/internal/table.js"
import { sinceOf } from "../packages/ccflow/src/internal/time.js"
import { clipped, padded, widthOf } from "../packages/ccflow/src/internal/width.js"

const key = (name: string, how: { readonly ctrl?: boolean; readonly meta?: boolean; readonly text?: string } = {}) => ({
  name,
  text: how.text ?? "",
  ctrl: how.ctrl ?? false,
  meta: how.meta ?? false
})
const typed = (text: string) => key("", { text })
const play = (keys: ReadonlyArray<ReturnType<typeof key>>, history: ReadonlyArray<string> = []): Edited =>
  keys.reduce((line: Edited, key) => press(line, key, history, 80), empty(history))
const shown = ({ cursor, text }: Edited) => `${text.slice(0, cursor)}|${text.slice(cursor)}`

const unit = FastCheck.constantFrom("a", " ", "\n", "世", "é", "e\u0301", "👩‍👩‍👧", "🇩🇪", "\t", "-", "x1")
const anyText = FastCheck.array(unit, { maxLength: 40 }).map((units) => units.join(""))
const anyKey = FastCheck.oneof(
  unit.filter((text) => text !== "\n").map(typed),
  FastCheck.constantFrom(
    ...["left", "right", "up", "down", "home", "end", "backspace", "delete", "enter", "tab"].map((name) => key(name)),
    ...["a", "e", "b", "f", "w", "u", "k", "y", "p", "n", "d", "h"].map((name) => key(name, { ctrl: true })),
    ...["b", "f", "d", "return", "backspace"].map((name) => key(name, { meta: true }))
  )
)

describe("the line that is being written", () => {
  it("moves and deletes by what a reader takes for a character", () => {
    assert.strictEqual(shown(play([typed("a👩‍👩‍👧e\u0301"), key("left"), key("left")])), "a|👩‍👩‍👧e\u0301")
    assert.strictEqual(shown(play([typed("a👩‍👩‍👧"), key("backspace")])), "a|")
    assert.strictEqual(shown(play([typed("🇩🇪b"), key("home"), key("delete")])), "|b")
  })

  it("moves and cuts by words, whatever the script, and gives back what was cut", () => {
    assert.strictEqual(shown(play([typed("one Grüße two"), key("w", { ctrl: true })])), "one Grüße |")
    assert.strictEqual(shown(play([typed("one Grüße"), key("b", { meta: true }), key("u", { ctrl: true })])), "|Grüße")
    assert.strictEqual(
      shown(play([typed("one two"), key("w", { ctrl: true }), key("a", { ctrl: true }), key("y", { ctrl: true })])),
      "two|one "
    )
  })

  it("has line breaks, and the arrow keys go through its rows before they go through the history", () => {
    const rows = [typed("first"), key("return", { meta: true }), typed("2nd")]
    assert.strictEqual(shown(play(rows, ["old"])), "first\n2nd|")
    assert.strictEqual(shown(play([...rows, key("up")], ["old"])), "fir|st\n2nd")
    assert.strictEqual(shown(play([...rows, key("up"), key("up")], ["old"])), "old|")
    assert.strictEqual(shown(play([...rows, key("up"), key("up"), key("down")], ["old"])), "first\n2nd|")
  })

  it("takes from what is pasted the line breaks, and nothing that steers a terminal", () => {
    assert.strictEqual(inserted(empty([]), "a\r\nb\rc\u001b[31m\u0007").text, "a\nb\nc[31m")
  })

  it("keeps its cursor between two characters, whatever keys are pressed", () => {
    FastCheck.assert(FastCheck.property(FastCheck.array(anyKey, { maxLength: 60 }), (keys) => {
      const { cursor, text } = play(keys, ["old", "older\nline"])
      const places = [0]
      for (const { segment } of new Intl.Segmenter(undefined, { granularity: "grapheme" }).segment(text)) {
        places.push((places.at(-1) ?? 0) + segment.length)
      }
      assert.include(places, cursor)
    }))
  })

  it("fits any width: no row is wider, nothing is left out, and the cursor stands where it should", () => {
    FastCheck.assert(FastCheck.property(anyText, FastCheck.integer({ min: 10, max: 60 }), (text, columns) => {
      const { column, row, rows } = layout({ text, cursor: text.length }, columns)
      for (const each of rows) assert.isBelow(widthOf(each), columns)
      assert.strictEqual(
        rows.map((each) => each.slice(2)).join(""),
        text.replaceAll("\n", "").replaceAll("\t", "    ")
      )
      assert.strictEqual(row, rows.length - 1)
      assert.strictEqual(column, widthOf(rows.at(-1) ?? ""))
    }))
  })
})

describe("widths", () => {
  it.each([["plain", 5], ["世界", 4], ["e\u0301", 1], ["👩‍👩‍👧", 2], ["❤️", 2], ["🇩🇪", 2], ["한글", 4], ["ｆ", 2], [
    "\u200B",
    0
  ]])(
    "%s takes %i cells",
    (text, width) => assert.strictEqual(widthOf(text), width)
  )

  it("what is clipped fits, what is padded fills", () => {
    FastCheck.assert(FastCheck.property(anyText.map(oneLine), FastCheck.integer({ min: 1, max: 30 }), (text, room) => {
      assert.isAtMost(widthOf(clipped(text, room)), room)
      if (widthOf(text) <= room) assert.strictEqual(clipped(text, room), text)
      assert.strictEqual(widthOf(padded(clipped(text, room), room)), room)
    }))
  })

  it("one line holds nothing that steers, hides or turns around what is read", () => {
    assert.strictEqual(oneLine(" a\n\tb\u001b[2J\u202Ec\u2028d\u200B "), "a b[2Jc d")
  })
})

describe("a table", () => {
  it("has columns that stand below each other, and never more than there is room for", () => {
    const columns = [{ title: "id" }, { title: "title", grows: true }, { title: "n", side: "right" as const }]
    FastCheck.assert(FastCheck.property(
      FastCheck.array(FastCheck.tuple(anyText, anyText, anyText), { minLength: 1, maxLength: 5 }),
      FastCheck.integer({ min: 5, max: 100 }),
      (rows, room) => {
        const lines = render(columns, rows, room).split("\n")
        assert.lengthOf(lines, rows.length + 2)
        for (const line of lines) assert.isAtMost(widthOf(line), room)
      }
    ))
    assert.strictEqual(
      render(columns, [["a", "世界", "10"], ["bc", "x", "7"]]),
      "id  title   n\na   世界   10\nbc  x       7\n"
    )
    // Here nobody looks at a terminal.
    const long = "x".repeat(1_000)
    assert.include(render(columns, [["a", long, "10"]]), long)
  })
})

describe("options", () => {
  const valued = new Map([
    ["-m", "text"],
    ["--model", "text"],
    ["--limit", "integer"],
    ["--share", "float"],
    ["--kind", "json | md"]
  ])
  const sorted = (...args: ReadonlyArray<string>) =>
    Effect.runSync(optionsFirst(args, { valued, bare: ["--json"], words: true }, "ccflow x"))

  it("stand on either side of the words, with their values", () => {
    assert.deepStrictEqual(sorted("what", "--model", "opus", "is", "--json", "-m=x"), [
      "--model",
      "opus",
      "--json",
      "-m=x",
      "--",
      "what",
      "is"
    ])
    assert.deepStrictEqual(sorted("--json"), ["--json"])
    assert.deepStrictEqual(sorted("-", "--", "--model"), ["--", "-", "--model"])
  })

  it("that nobody knows are refused by name", () => {
    assert.throws(() => sorted("--modle=opus"), /--modle/)
  })

  it("whose value is none are refused by name and value, which the parser does not say", () => {
    assert.throws(() => sorted("--limit", "many"), /--limit: "many" is no whole number/)
    assert.throws(() => sorted("--limit=1.5"), /--limit: "1.5" is no whole number/)
    assert.throws(() => sorted("--share="), /--share: "" is no number/)
    assert.throws(() => sorted("--kind", "xml"), /--kind: "xml" is none of json, md/)
    const right = ["--limit", "-1", "--share=0.5", "--kind", "md", "-m=json | md"]
    assert.deepStrictEqual(sorted(...right), right)
  })

  it("are all that there is, where a command takes no words", () => {
    const refused = Effect.flip(
      optionsFirst(["--json", "word"], { valued, bare: ["--json"], words: false }, "ccflow x")
    )
    const { field, hint } = Effect.runSync(refused)
    assert.deepStrictEqual([field, hint], ["word", "See ccflow x --help."])
  })
})

describe("since", () => {
  const now = Date.UTC(2026, 10, 22, 12)
  it.each([["30m", 1_800_000], ["12h", 43_200_000], ["7d", 604_800_000], ["2w", 1_209_600_000]])(
    "%s ago",
    (text, ago) => assert.strictEqual(Effect.runSync(sinceOf(text, now)), now - ago)
  )
  it("a day begins where its reader is, and a moment is what it is", () => {
    assert.strictEqual(Effect.runSync(sinceOf("2026-11-20", now)), new Date(2026, 10, 20).getTime())
    assert.strictEqual(Effect.runSync(sinceOf("2026-11-20T10:00:00Z", now)), Date.UTC(2026, 10, 20, 10))
  })
  it.each(["", "yesterday", "7", "2026-13-40", "-3d"])("%j is no time", (text) => {
    assert.throws(() => Effect.runSync(sinceOf(text, now)), /--since/)
  })
})
