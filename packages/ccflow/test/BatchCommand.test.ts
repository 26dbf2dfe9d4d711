import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { FastCheck as fc } from "effect"
import { assert, describe, it } from "vitest"
import * as Bar from "../src/internal/batchBar.js"
import { CsvError, csvRows } from "../src/internal/batchCsv.js"
import { formatOf, type Item, items, type Reading } from "../src/internal/batchInput.js"
import { widthOf } from "../src/internal/width.js"

async function* bytes(text: string | Uint8Array, cut = Infinity): AsyncGenerator<Uint8Array> {
  const all = Buffer.from(text)
  for (let at = 0; at < all.length; at += cut) yield all.subarray(at, Math.min(all.length, at + cut))
}
const read = async (text: string | Uint8Array, reading: Reading, cut?: number): Promise<Array<Item>> => {
  const found: Array<Item> = []
  for await (const item of items(bytes(text, cut), reading)) found.push(item)
  return found
}
const refused = async (text: string | Uint8Array, reading: Reading): Promise<InvalidOptionsError> => {
  try {
    await read(text, reading)
  } catch (error) {
    assert.instanceOf(error, InvalidOptionsError)
    return error as InvalidOptionsError
  }
  return assert.fail("it was read")
}
const prompts = (found: ReadonlyArray<Item>) => found.map(({ prompt }) => prompt)

describe("CSV", () => {
  const parse = async (text: string, cuts: ReadonlyArray<number> = []) => {
    const places = [0, ...[...cuts].sort((a, b) => a - b), text.length]
    async function* pieces() {
      for (const [index, to] of places.slice(1).entries()) yield text.slice(places[index], to)
    }
    const rows = []
    for await (const row of csvRows(pieces())) rows.push(row)
    return rows
  }
  const quote = (field: string) => `"${field.replaceAll("\"", "\"\"")}"`
  const field = fc.string({ unit: fc.constantFrom("a", "ü", "🙂", ",", "\"", "\n", "\r", " "), maxLength: 6 })
  const row = fc.array(field, { minLength: 1, maxLength: 4 })

  it("gives back what was written, wherever its text is cut, and the line of each row", () =>
    fc.assert(fc.asyncProperty(
      fc.array(row, { maxLength: 5 }),
      fc.constantFrom("\n", "\r\n"),
      fc.boolean(),
      fc.array(fc.nat(60)),
      async (rows, newline, ended, cuts) => {
        const lines = rows.map((fields) => fields.map(quote).join(","))
        const text = lines.join(newline) + (ended && rows.length > 0 ? newline : "")
        const read = await parse(text, cuts)
        assert.deepStrictEqual(read.map(({ fields }) => fields), rows)
        let line = 1
        for (const [index, each] of read.entries()) {
          assert.strictEqual(each.line, line)
          line += lines[index]!.split("\n").length
        }
      }
    )))

  it("takes fields as they are, quoted or not, and no row from an empty line", async () => {
    assert.deepStrictEqual((await parse("a, b ,\"c\"\"d\"\n\n,,\r\n\"\"\n")).map(({ fields }) => fields), [
      ["a", " b ", "c\"d"],
      ["", "", ""],
      [""]
    ])
  })

  it.each([
    ["a\nb\"c", 2],
    ["\"a\"b", 1],
    ["a\n\"b\n\nc", 2],
    ["a\rb", 1],
    ["a\r", 1]
  ])("refuses %j, and says on which line", async (text, line) => {
    try {
      await parse(text)
      assert.fail("it was read")
    } catch (error) {
      assert.isTrue(error instanceof CsvError && error.line === line, String(error))
    }
  })
})

describe("the prompts of", () => {
  it("a .txt are its lines but the blank ones, wherever the bytes are cut", async () => {
    for (const cut of [1, 2, 3, 100]) {
      const found = await read("\ufefffirst\r\n\n  \nzwölf 🙂 \nlast", { format: "txt" }, cut)
      assert.deepStrictEqual(prompts(found), ["first", "zwölf 🙂", "last"])
      assert.deepStrictEqual(found.map(({ index }) => index), [0, 1, 2])
    }
  })

  it("a .jsonl are texts and objects", async () => {
    const lines = [
      "\"a\"",
      "",
      JSON.stringify({ prompt: "b", key: "two", priority: 2, options: { model: "opus", maxTurns: 3 } }),
      JSON.stringify({ prompt: [{ type: "text", text: "c" }] })
    ]
    const [a, b, c] = await read(lines.join("\n"), { format: "jsonl" })
    assert.strictEqual(a?.prompt, "a")
    assert.deepInclude(b, { prompt: "b", key: "two", priority: 2, options: { model: "opus", maxTurns: 3 } })
    assert.deepStrictEqual(c?.prompt, [{ type: "text", text: "c" }])
  })

  it.each([
    ["not JSON", "{\"prompt\":"],
    ["a number", "12"],
    ["without a prompt", "{}"],
    ["with an empty prompt", "{\"prompt\":\" \"}"],
    ["with a field that means nothing", "{\"prompt\":\"a\",\"modle\":\"opus\"}"],
    ["with an option that there is not", "{\"prompt\":\"a\",\"options\":{\"modle\":\"opus\"}}"],
    ["with a bad option", "{\"prompt\":\"a\",\"options\":{\"maxTurns\":0}}"],
    ["with a key that is no text", "{\"prompt\":\"a\",\"key\":1}"],
    ["with a priority that is none", "{\"prompt\":\"a\",\"priority\":\"high\"}"],
    ["with the key of another", "{\"prompt\":\"a\",\"key\":\"one\"}"]
  ])("a .jsonl with a line that is %s are refused, by the number of that line", async (_, line) => {
    const error = await refused(`{"prompt":"x","key":"one"}\n\n${line}\n"y"`, { format: "jsonl" })
    assert.strictEqual(error.field, "line 3")
    assert.notInclude(error.message, "\"x\"")
  })

  it("a .csv are in its column `prompt`, or in the only one, or in the one that is named", async () => {
    assert.deepStrictEqual(prompts(await read("a,prompt\n1,x\n2,\"y\nz\"\n", { format: "csv" })), ["x", "y\nz"])
    assert.deepStrictEqual(prompts(await read("question\nx\n", { format: "csv" })), ["x"])
    assert.deepStrictEqual(prompts(await read("a,b\nx,y\n", { format: "csv", promptColumn: "b" })), ["y"])
  })

  it("a .csv are made by a template, whose fields are put in and not looked at again", async () => {
    const text = "name,topic,key\n{{topic}},$& tea,k1\nBob,\"a, b\",k2\n"
    const found = await read(text, { format: "csv", template: "{{ name }}: tell of {{topic}}, {{name}}!" })
    assert.deepStrictEqual(found.map(({ key, prompt }) => [key, prompt]), [
      ["k1", "{{topic}}: tell of $& tea, {{topic}}!"],
      ["k2", "Bob: tell of a, b, Bob!"]
    ])
  })

  it.each([
    ["a,b\nx,y\n", {}, "--prompt-column"],
    ["a,b\nx,y\n", { promptColumn: "c" }, "--prompt-column"],
    ["prompt\nx\n", { keyColumn: "id" }, "--key-column"],
    ["prompt\nx\n", { template: "{{other}}" }, "--template"],
    ["prompt,prompt\nx,y\n", {}, "line 1"],
    ["prompt,b\nx\n", {}, "line 2"],
    ["prompt,key\nx,1\ny,1\n", {}, "line 3"],
    ["prompt,key\nx,\n", {}, "line 2"],
    ["prompt,b\n,1\n", {}, "line 2"],
    ["prompt\n\"x\n", {}, "line 2"]
  ])("a .csv such as %j with %j are refused by naming what is wrong", async (text, reading, field) => {
    assert.strictEqual((await refused(text, { format: "csv", ...reading })).field, field)
  })

  it("what is not UTF-8 are refused: they would be asked as something else", async () => {
    assert.match((await refused(Buffer.from([0x61, 0xFF, 0x0A]), { format: "txt" })).message, /UTF-8/)
    assert.match((await refused(Buffer.from([0x61, 0xC3]), { format: "txt" })).message, /UTF-8/)
  })

  it("a file are known by the ending of its name", () => {
    assert.deepStrictEqual(
      ["a.txt", "a.JSONL", "a.ndjson", "x.y/a.csv", "a.json", "csv", "a.csv/b"].map(formatOf),
      ["txt", "jsonl", "jsonl", "csv", undefined, undefined, undefined]
    )
  })
})

describe("keys", () => {
  const keys = async (text: string, reading: Reading = { format: "txt" }) =>
    (await read(text, reading)).map(({ key }) => key)

  it("stay with their prompts when lines are added before them", async () => {
    const [a, b] = await keys("a\nb")
    assert.deepStrictEqual((await keys("new\n\na\nother\nb")).filter((key) => key === a || key === b), [a, b])
  })

  it("are different for each, also where the same is asked twice", async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 }), async (lines) => {
      const found = await keys(lines.join("\n"))
      assert.strictEqual(new Set(found).size, lines.length)
      assert.deepStrictEqual(await keys(lines.join("\n")), found)
    }))
  })

  it("differ where the options do", async () => {
    const [a, b] = await keys("{\"prompt\":\"a\"}\n{\"prompt\":\"a\",\"options\":{\"model\":\"opus\"}}", {
      format: "jsonl"
    })
    assert.notStrictEqual(a, b)
  })

  it("of an endless input hold as long as it begins in the same way", async () => {
    const endless = { format: "txt", endless: true } as const
    const found = await keys("a\na\nb", endless)
    assert.strictEqual(new Set(found).size, 3)
    assert.deepStrictEqual((await keys("a\na\nc", endless)).slice(0, 2), found.slice(0, 2))
  })
})

describe("the bar", () => {
  const now = new Date(2026, 10, 22, 12, 0).getTime()
  const progress: Bar.Progress = {
    total: 100,
    earlier: 0,
    completed: 20,
    failed: 4,
    cancelled: 0,
    running: 4,
    costUsd: 1.5,
    startedAt: now - 60_000,
    parkedUntil: undefined
  }

  it("says how many are done, failed and running, how fast, for how much, and how long it takes", () => {
    assert.strictEqual(
      Bar.line(progress, now, 200),
      "[####----------------] 24/100 done · 4 failed · 4 running · 24.0/min · $1.50 · 3 min left"
    )
  })

  it("counts what was ended earlier as done, and not as speed", () => {
    const line = Bar.line({ ...progress, completed: 90, failed: 0, earlier: 80 }, now, 200)
    assert.include(line, "90/100 done")
    assert.include(line, "10.0/min")
    assert.include(line, "1 min left")
  })

  it("promises nothing before something has ended, nor of an input without an end", () => {
    assert.notInclude(Bar.line({ ...progress, completed: 0, failed: 0 }, now, 200), "left")
    const line = Bar.line({ ...progress, total: undefined }, now, 200)
    assert.match(line, /^24 done/)
    assert.notInclude(line, "left")
  })

  it("says until when it is parked, in place of how long it takes", () => {
    const line = Bar.line({ ...progress, parkedUntil: now + 90 * 60_000 }, now, 200)
    assert.match(line, /parked until 13:30$/)
    assert.notInclude(line, "left")
    assert.include(Bar.line({ ...progress, parkedUntil: now - 1 }, now, 200), "left")
  })

  it("never takes more cells than there are, and at the end of all is full", () => {
    fc.assert(fc.property(fc.nat(120), fc.nat(100), (room, completed) => {
      assert.isAtMost(widthOf(Bar.line({ ...progress, completed, failed: 0 }, now, room)), room)
    }))
    assert.match(Bar.line({ ...progress, completed: 96 }, now, 200), /^\[#{20}\] 100\/100/)
    assert.match(Bar.line({ ...progress, total: 0, completed: 0, failed: 0 }, now, 200), /^\[#{20}\] 0\/0/)
  })

  it("tells time in few words", () => {
    assert.deepStrictEqual(
      [0, 59_000, 60_000, 59 * 60_000, 3_600_000, 90 * 60_000, 72 * 3_600_000].map(Bar.span),
      ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 h 30 min", "3 days"]
    )
  })
})
