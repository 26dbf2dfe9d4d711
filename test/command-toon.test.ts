import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Either from "effect/Either"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { shapes } from "../scripts/bench/shapes.js"
import { commandBundle } from "./support/commandBundle.js"
import { runScript } from "./support/programs.js"
import { noTerminal, Seat } from "./support/terminal.js"

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-toon-"))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

/** As a shell runs it, in the folder; what is given comes from stdin. */
const toon = (args: ReadonlyArray<string>, stdin = "") =>
  runScript(command, ["toon", ...args], { cwd: folder, env: { PATH: "/usr/bin" }, stdin })

const file = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text)
  return name
}

const users = Array.from({ length: 9 }, (_, id) => ({ id, name: `user ${id}`, role: "guest" }))

interface Found {
  readonly format: string
  readonly savedTokens: number
  readonly savedPercent: number
  readonly json: { readonly tokens: number; readonly bytes: number; readonly text: string }
  readonly toon: { readonly tokens: number; readonly bytes: number; readonly text: string } | null
}

const found = async (args: ReadonlyArray<string>, stdin?: string): Promise<Found> => {
  const { code, stderr, stdout } = await toon(["--json", ...args], stdin)
  assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
  return JSON.parse(stdout) as Found
}

describe("ccflow toon", () => {
  it("shows data both ways, with the figures, and says what the model gets", async () => {
    const { code, stderr, stdout } = await toon([await file("users.json", JSON.stringify({ users }, undefined, 2))])
    assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
    const lines = stdout.split("\n")
    assert.deepStrictEqual(lines.slice(0, 5), [
      "JSON",
      JSON.stringify({ users }),
      "",
      "TOON",
      "users[9]{id,name,role}:"
    ])
    assert.match(
      stdout,
      /\n +tokens +bytes\nJSON +\d+ +\d+\nTOON +\d+ +\d+\n\nTOON saves \d+ tokens \([\d.]+ %\)\. The model gets TOON\.\n$/
    )
  })

  it("is honest about data that TOON makes longer", async () => {
    const { stdout } = await toon([await file("deep.json", "{\"a\":{\"b\":[{\"c\":[1]},\"d\"]}}")])
    assert.match(stdout, /\nTOON needs \d+ tokens more \([\d.]+ %\)\. The model gets JSON\.\n$/)
  })

  it("gives a program one object, of a file or of stdin, with or without a dash", async () => {
    const text = `\uFEFF${JSON.stringify(users)}`
    const one = await found([await file("list.json", text)])
    assert.strictEqual(one.format, "toon")
    assert.strictEqual(one.json.text, JSON.stringify(users))
    assert.strictEqual(one.json.bytes, Buffer.byteLength(one.json.text))
    assert.strictEqual(one.toon?.bytes, Buffer.byteLength(one.toon?.text ?? ""))
    assert.strictEqual(one.savedTokens, one.json.tokens - (one.toon?.tokens ?? 0))
    assert.strictEqual(one.savedPercent, Math.round(one.savedTokens / one.json.tokens * 1000) / 10)
    assert.deepStrictEqual(await found(["-"], text), one)
    assert.deepStrictEqual(await found([], text), one)
  })

  it("reads TOON back as the JSON that it was", async () => {
    const { toon: made } = await found([await file("all.json", JSON.stringify(shapes))])
    const { code, stdout } = await toon([await file("all.toon", made?.text ?? ""), "--decode"])
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(shapes)))
  })

  it("says of data that TOON cannot hold that it is JSON", async () => {
    const half = await found(["-"], JSON.stringify(users.map((user) => ({ ...user, name: "\uD83D" }))))
    assert.deepStrictEqual([half.format, half.toon, half.savedTokens], ["json", null, 0])
  })

  it("says what is wrong with what it is given, on stderr, and nothing on stdout", async () => {
    const wrong: ReadonlyArray<readonly [ReadonlyArray<string>, string | undefined, RegExp]> = [
      [["nowhere.json"], "", /file: there is no such file/],
      [["."], "", /file: it is a folder/],
      [[await file("bad.json", "{\"a\": 1,\n \"S3CRET\": tru}")], "", /it is not JSON: line 2, column \d+, /],
      [["-"], "", /it is not JSON: line 1, column 1, it is empty/],
      [["--decode", await file("bad.toon", "a[3]{b,c}:\n  1,2\n")], "", /it is not TOON: line \d/],
      [["--what"], "", /--what: there is no such option/]
    ]
    for (const [args, stdin, expected] of wrong) {
      const { code, stderr, stdout } = await toon(args, stdin)
      assert.deepStrictEqual({ code, stdout }, { code: 2, stdout: "" }, args.join(" "))
      assert.match(stderr, expected)
      assert.notInclude(stderr, "S3CRET")
    }
  })

  it("tells of itself", async () => {
    const { code, stdout } = await toon(["--help"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "--decode")
  })

  it.skipIf(noTerminal !== undefined)("steers no terminal, whatever the data", async () => {
    const name = await file("hostile.json", JSON.stringify([{ a: "\u001b[2J\u0007x", b: "\u009b31m" }]))
    await using seat = new Seat([process.execPath, command, "toon", name], { cwd: folder, columns: 200 })
    assert.strictEqual(await seat.ended, 0)
    assert.notMatch(seat.written, /[\u001b\u0007\u009b]/)
  })
})

describe("the estimate of tokens", () => {
  /** What two tokenizers that are public count for the bench's data, as JSON and as TOON: Claude 2's, and o200k. */
  const counted: ReadonlyArray<readonly [json: readonly [number, number], toon: readonly [number, number]]> = [
    [[4674, 4389], [2905, 2648]],
    [[5261, 5262], [4889, 5158]],
    [[2853, 2812], [3472, 4045]],
    [[7430, 7240], [7863, 8668]],
    [[364, 358], [401, 449]]
  ]

  it("is within 15 % of what public tokenizers count in data, and takes the encoding that they would", () => {
    for (const [index, { data, name }] of shapes.entries()) {
      const [json, toon] = counted[index]!
      const texts = [JSON.stringify(data), Either.getOrThrow(ContextEncoder.toToon(data))] as const
      for (const [text, counts] of [[texts[0], json], [texts[1], toon]] as const) {
        const estimate = ContextEncoder.estimateTokens(text)
        for (const count of counts) assert.isAtMost(Math.abs(estimate / count - 1), 0.15, name)
      }
      const { savedTokens } = Either.getOrThrow(ContextEncoder.encode(data))
      for (const by of [0, 1] as const) assert.strictEqual(Math.sign(savedTokens), Math.sign(json[by] - toon[by]), name)
    }
  })
})
