import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import { givesBack } from "../src/internal/toon.js"

const encoded = (data: unknown, options?: ContextEncoder.EncoderOptions) =>
  Either.getOrThrow(ContextEncoder.encode(data, options))

const decoded = ({ format, text }: ContextEncoder.Encoded): unknown =>
  format === "json" ? JSON.parse(text) : Either.getOrThrow(ContextEncoder.fromToon(text))

const asJson = (data: unknown): unknown => JSON.parse(JSON.stringify(data) ?? "null")

const table = Array.from(
  { length: 12 },
  (_, id) => ({ id, name: `user ${id}`, role: id % 2 === 0 ? "admin" : "guest" })
)

// ---------------------------------------------------------------------------

/** What formats of text like to take for something else. */
const tricky = FastCheck.constantFrom(
  ...["", " ", " a", "a ", "true", "null", "1e3", "-", "- a", "-1", "01", "0x1", "1.0", "+1", ".5", "NaN", "#", "~"],
  ...["__proto__", "constructor", "toString", "length", "a.b", "a: b", "a,b", "a|b", "a\tb", "a\nb", "\r\n", "\u2028"],
  ...["[3]", "[2]:", "{a}", "rows[2]{a,b}:", "\"", "\\", "\\n", "```", "````toon", "\u0000", "\u007F", "\uFEFF", "😀"],
  ...["\uD800", "x\uDC00y", "\u00A0", "é", "日本"]
)
const text = FastCheck.oneof(tricky, FastCheck.string(), FastCheck.string({ unit: "binary" }))
const leaf = FastCheck.oneof(
  text,
  FastCheck.integer(),
  FastCheck.double(),
  FastCheck.constantFrom(-0, 1e21, -1e-7, 5e-324, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER),
  FastCheck.boolean(),
  FastCheck.constantFrom(null, undefined)
)

type Entry = readonly [string, unknown]

/** Also where a name is one that every object has. */
const objectOf = (entries: ReadonlyArray<Entry>): object =>
  Object.defineProperties(
    {},
    Object.fromEntries(
      entries.map(([name, value]) => [`${name}`, { value, enumerable: true, configurable: true }] as const)
    )
  )

/** `__proto__` as a name of its own, which `Object.fromEntries` makes of it and a literal does not. */
const objects = (value: FastCheck.Arbitrary<unknown>) =>
  FastCheck.array(FastCheck.tuple(text, value), { maxLength: 5 }).map(objectOf)

/** Rows with the same names, of which some are missing. */
const rows = (value: FastCheck.Arbitrary<unknown>) =>
  FastCheck.tuple(
    FastCheck.uniqueArray(text, { minLength: 1, maxLength: 4 }),
    FastCheck.array(FastCheck.array(value, { minLength: 4, maxLength: 4 }), { maxLength: 6 }),
    FastCheck.boolean()
  ).map(([names, values, keyed]) => {
    const all = values.map((row) => objectOf(names.map((name, index): Entry => [name, row[index]])))
    return keyed ? objectOf(all.map((row, index): Entry => [`row ${index}`, row])) : all
  })

const { data } = FastCheck.letrec<{ data: unknown }>((tie) => ({
  data: FastCheck.oneof(
    { maxDepth: 4, depthSize: "small" },
    leaf,
    FastCheck.array(tie("data"), { maxLength: 5 }),
    objects(tie("data")),
    rows(leaf),
    rows(tie("data"))
  )
}))

describe("data for the model", () => {
  it("is TOON where that has fewer tokens, its explanation included", () => {
    const { format, jsonTokens, savedTokens, text, toonTokens } = encoded({ users: table })
    assert.strictEqual(format, "toon")
    assert.match(text, /^users\[12\]\{id,name,role\}:\n {2}0,user 0,admin\n/)
    assert.isAbove(savedTokens, 0)
    assert.strictEqual(savedTokens, jsonTokens - toonTokens)
    // The explanation is worth more than one row saves.
    assert.strictEqual(encoded({ users: table.slice(0, 1) }).format, "json")
  })

  it("is compact JSON where TOON would be longer, and the figures say by how much", () => {
    const { format, jsonTokens, savedTokens, text, toonTokens } = encoded({ a: { b: [{ c: [1] }, "d"] } })
    assert.strictEqual(format, "json")
    assert.strictEqual(text, "{\"a\":{\"b\":[{\"c\":[1]},\"d\"]}}")
    assert.isBelow(savedTokens, 0)
    assert.strictEqual(savedTokens, jsonTokens - toonTokens)
  })

  it("is given back whole, whatever it is", () => {
    let toon = 0
    FastCheck.assert(
      FastCheck.property(data, FastCheck.constantFrom<"," | "\t" | "|">(",", "\t", "|"), (data, delimiter) => {
        // Each letter a token: so that TOON is taken as often as may be.
        for (const countTokens of [undefined, (text: string) => text.startsWith("TOON") ? 0 : 1]) {
          const one = encoded(data, { delimiter, countTokens })
          if (one.format === "toon") toon++
          const told = new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(one.text))
          assert.deepStrictEqual(decoded({ ...one, text: told }), asJson(data))
        }
      }),
      { numRuns: 300 }
    )
    assert.isAbove(toon, 250)
  }, 60_000)

  it("is what JSON makes of it: dates, maps, functions, and objects that speak for themselves", () => {
    const odd = {
      date: new Date(0),
      map: new Map([[1, 2]]),
      nothing: undefined,
      call: () => 1,
      nan: NaN,
      zero: -0,
      list: [undefined, Symbol("x")],
      money: { toJSON: () => "3 €" }
    }
    assert.strictEqual(encoded(odd).text, JSON.stringify(odd))
    const { list: _, map: __, ...flat } = odd
    const many = Array.from({ length: 20 }, () => flat)
    assert.strictEqual(encoded(many).format, "toon")
    assert.deepStrictEqual(decoded(encoded(many)), asJson(many))
    for (const nothing of [() => 1, Symbol("x"), undefined]) assert.strictEqual(encoded(nothing).text, "null")
  })

  it("is refused where JSON cannot hold it", () => {
    const cycle: Record<string, unknown> = {}
    cycle["self"] = cycle
    const failing = {
      toJSON() {
        throw new Error("S3CRET")
      }
    }
    for (const data of [cycle, { amount: 5n }, [failing]]) {
      const refused = Either.flip(ContextEncoder.encode(data))
      assert.strictEqual(Either.getOrThrow(refused).field, "context")
      assert.notInclude(String(Either.getOrThrow(refused)), "S3CRET")
    }
  })

  it("is left as it is", () => {
    const frozen = (value: unknown): unknown => {
      if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen)
      return value
    }
    const given = structuredClone({ users: table, deep: { list: [1, [2, { a: null }]] } })
    const before = JSON.stringify(given)
    assert.strictEqual(encoded(frozen(given)).format, "toon")
    assert.strictEqual(JSON.stringify(given), before)
  })

  it("is JSON where TOON cannot hold it: half a character, and what is nested too deeply", () => {
    const halves = table.map((row) => ({ ...row, name: `\uD83D${row.name}` }))
    assert.strictEqual(encoded(halves).format, "json")
    assert.strictEqual(encoded(halves).savedTokens, 0)
    let deep: unknown = table
    for (let depth = 0; depth < 3000; depth++) deep = [deep]
    assert.strictEqual(encoded(deep).format, "json")
    assert.isTrue(Either.isLeft(ContextEncoder.toToon(deep)))
  })
})

describe("an encoder", () => {
  it("that is told to makes JSON only", () => {
    const { format, savedTokens } = encoded({ users: table }, { format: "json" })
    assert.deepStrictEqual([format, savedTokens], ["json", 0])
  })

  it("puts what it is told to between the values", () => {
    assert.include(encoded(table, { delimiter: "|" }).text, "\n  3|user 3|guest\n")
  })

  it("counts with the tokenizer that it is given, and estimates where that fails", () => {
    assert.strictEqual(encoded(table, { countTokens: (text) => text.length }).jsonTokens, JSON.stringify(table).length)
    const broken = [() => NaN, () => {
      throw new Error("no tokenizer")
    }]
    for (const countTokens of broken) {
      assert.deepStrictEqual(encoded(table, { countTokens }), encoded(table))
    }
  })
})

describe("a block", () => {
  it("cannot be ended by what is in it, and has its label, its format and its data", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.oneof(
        data,
        FastCheck.array(FastCheck.record({ a: FastCheck.stringMatching(/^[`\n toonjs]*$/), b: tricky }), {
          maxLength: 9
        })
      ),
      (data) => {
        const one = encoded(data, { countTokens: (text) => text.startsWith("TOON") ? 0 : 1 })
        const lines = ContextEncoder.toBlock("Context", one).split("\n")
        assert.strictEqual(lines[0], "[Context]")
        const at = one.format === "toon" ? 2 : 1
        const [, fence = ""] = /^(`{3,})(toon|json)$/.exec(lines[at] ?? "") ?? []
        assert.notStrictEqual(fence, "")
        const inside = lines.slice(at + 1, -1).join("\n")
        assert.strictEqual(lines.at(-1), fence)
        assert.strictEqual(inside, one.text)
        assert.notInclude(inside, fence)
      }
    ))
  })

  it("says in a line what TOON is, and nothing of JSON", () => {
    assert.strictEqual(ContextEncoder.toBlock("Context", { format: "json", text: "{}" }), "[Context]\n```json\n{}\n```")
    const [label, hint, fence] = ContextEncoder.toBlock("Turn Context", { format: "toon", text: "a: 1" }).split("\n")
    assert.deepStrictEqual([label, fence], ["[Turn Context]", "```toon"])
    assert.match(hint ?? "", /^TOON: /)
  })
})

describe("TOON", () => {
  it("that does not give the data back is found out", () => {
    const rows = "[2]{a,b}:\n  1,x\n  2,y"
    assert.isTrue(givesBack(rows, [{ b: "x", a: 1 }, { a: 2, b: "y" }]))
    assert.isTrue(givesBack("__proto__:\n  a: 1", JSON.parse("{\"__proto__\":{\"a\":1}}")))
    const others = [
      [],
      [{ a: 1, b: "x" }],
      [{ a: 1, b: "x" }, { a: 2, b: "z" }],
      [{ a: 1, b: "x" }, { a: 2, b: "y", c: 1 }],
      [{ a: 1, b: "x" }, { a: 2 }],
      [{ a: "1", b: "x" }, { a: 2, b: "y" }],
      { 0: { a: 1, b: "x" }, 1: { a: 2, b: "y" } },
      null
    ]
    for (const other of others) assert.isFalse(givesBack(rows, other), JSON.stringify(other))
    assert.isFalse(givesBack("a: 1", {}))
    assert.isFalse(givesBack("a: 1", JSON.parse("{\"__proto__\":{\"a\":1}}")))
    assert.isFalse(givesBack("[3]: 1", [1]))
  })

  it("is made of any data, shorter or not, and read again", () => {
    const toon = Either.getOrThrow(ContextEncoder.toToon({ a: { b: 1 } }))
    assert.strictEqual(toon, "a:\n  b: 1")
    assert.deepStrictEqual(Either.getOrThrow(ContextEncoder.fromToon(toon)), { a: { b: 1 } })
  })

  it("that has lost a row is refused, with its line", () => {
    const broken = Either.flip(ContextEncoder.fromToon("users[3]{id,name}:\n  1,Ada\n  2,Grace"))
    assert.match(Either.getOrThrow(broken).message, /it is not TOON: line \d/)
  })
})

describe("the estimate of tokens", () => {
  it("grows with the text, and is 0 for none", () => {
    assert.strictEqual(ContextEncoder.estimateTokens(""), 0)
    FastCheck.assert(FastCheck.property(FastCheck.string(), FastCheck.string(), (one, other) => {
      assert.isAtMost(ContextEncoder.estimateTokens(one), ContextEncoder.estimateTokens(`${one}\n${other}`))
    }))
  })
})
