import { spawn } from "node:child_process"
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { lives } from "./fixtures/lifecycle/processes.js"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { type Ended, follow } from "./support/programs.js"
import { noTerminal, Seat, type TerminalOptions } from "./support/terminal.js"

const command = await commandBundle()

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-batch-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)

type Steps = ReadonlyArray<unknown>
interface Script {
  readonly match?: ReadonlyArray<{ readonly prompt: string; readonly steps: Steps }>
  readonly [field: string]: unknown
}

const signs = [
  { writeFile: { path: "$CWD/pid-$PID", content: "$PID" } },
  { writeFile: { path: "$CWD/asked-$UUID", content: "$PROMPT" } }
]
const when = (prompt: string, ...steps: Steps) => ({ prompt, steps: [...signs, { init: {} }, ...steps] })
const echoes = when("", { text: "echo: $PROMPT" }, { result: {} })
const bad = { error: { status: 400, type: "invalid_request_error", message: "no such thing" } }

const environment = (script: Script = {}): Readonly<Record<string, string>> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: folder,
  TZ: "UTC",
  CCFLOW_CLI_PATH: fakeClaude,
  CCFLOW_SESSION_STORAGE_PATH: at("sessions.db"),
  FAKE_CLAUDE_SCRIPT: JSON.stringify({ memory: at("memory"), ...script, match: [...script.match ?? [], echoes] })
})

const start = (args: ReadonlyArray<string>, script?: Script) =>
  follow(spawn(process.execPath, [command, "batch", ...args], { cwd: folder, env: environment(script) }))

const batch = (args: ReadonlyArray<string>, script?: Script, stdin = ""): Promise<Ended> => {
  const { child, ended } = start(args, script)
  child.stdin.end(stdin)
  return ended
}

interface Line {
  readonly key: string
  readonly index: number
  readonly prompt: string
  readonly status: string
  readonly result?: string
  readonly error?: { readonly tag: string; readonly message: string }
  readonly costUsd: number
  readonly sessionId?: string
}
const linesOf = (text: string): ReadonlyArray<Line> =>
  text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Line)
const output = async (name = "out.jsonl") =>
  linesOf(await readFile(at(name), "utf8")).toSorted((a, b) => a.index - b.index)
const results = (lines: ReadonlyArray<Line>) => lines.map(({ result, status }) => result ?? status)

const filed = async (kind: string): Promise<ReadonlyArray<string>> =>
  Promise.all(
    (await readdir(folder)).filter((name) => name.startsWith(`${kind}-`)).map((name) => readFile(at(name), "utf8"))
  )
/** The prompts that the CLI was given, sorted. */
const asked = async () => (await filed("asked")).toSorted()
const forget = async () => {
  for (const name of await readdir(folder)) if (/^(asked|pid)-/.test(name)) await rm(at(name))
}
const nobodyLeft = async () => {
  const pids = (await filed("pid")).map(Number)
  assert.isAbove(pids.length, 0)
  assert.deepStrictEqual(pids.filter(lives), [])
}
const until = async (holds: () => Promise<boolean>) => {
  const deadline = performance.now() + 30_000
  while (!await holds()) {
    if (performance.now() > deadline) throw new Error("It does not come to that")
    await sleep(20)
  }
}
const write = (name: string, ...lines: ReadonlyArray<string>) => writeFile(at(name), `${lines.join("\n")}\n`)

describe("ccflow batch", () => {
  it("asks each line of a .txt, writes one whole line of JSON for each into a file of its owner, code 0", async () => {
    await write("in.txt", "one", "", "  two  ", "three")
    const { code, stderr, stdout } = await batch(["in.txt", "--output", "out.jsonl"])
    assert.deepStrictEqual([code, stdout], [0, ""])
    assert.match(stderr, /^3 completed, 0 failed: \$0\.0\d+\n$/)
    const lines = await output()
    assert.deepStrictEqual(results(lines), ["echo: one", "echo: two", "echo: three"])
    assert.deepStrictEqual(lines.map(({ index, prompt }) => [index, prompt]), [[0, "one"], [1, "two"], [2, "three"]])
    assert.strictEqual(new Set(lines.map(({ sessionId }) => sessionId)).size, 3)
    for (const { costUsd } of lines) assert.isAbove(costUsd, 0)
    assert.strictEqual((await stat(at("out.jsonl"))).mode & 0o777, 0o600)
    await nobodyLeft()
  })

  it("takes the options of a line of .jsonl over those of the command", async () => {
    await write(
      "in.jsonl",
      JSON.stringify("plain"),
      JSON.stringify({ prompt: "special", key: "mine", options: { model: "opus" } })
    )
    const script = { start: [{ readEnv: [], to: "$CWD/argv-$PID" }] }
    const { code } = await batch(["--model=haiku", "in.jsonl", "-o", "out.jsonl", "--max-turns", "3"], script)
    assert.strictEqual(code, 0)
    const argvs = (await filed("argv")).map((text) => (JSON.parse(text) as { readonly argv: Array<string> }).argv)
    assert.deepStrictEqual(argvs.filter((argv) => argv.includes("--model=opus")).length, 1)
    assert.deepStrictEqual(argvs.filter((argv) => argv.includes("--model=haiku")).length, 1)
    assert.isTrue(argvs.every((argv) => argv.includes("--max-turns=3")))
    assert.notInclude(argvs.flat().join(" "), "special")
    assert.strictEqual((await output())[1]?.key, "mine")
  })

  it("makes the prompts of a .csv by a template, and calls them by a column", async () => {
    await write("in.csv", "id,what", "a,tea", "b,\"cake, and", "cream\"")
    const { code } = await batch([
      "in.csv",
      "-o",
      "out.jsonl",
      "--key-column",
      "id",
      "--template",
      "Price of {{what}}?"
    ])
    assert.strictEqual(code, 0)
    assert.deepStrictEqual((await output()).map(({ key, prompt }) => [key, prompt]), [
      ["a", "Price of tea?"],
      ["b", "Price of cake, and\ncream?"]
    ])
  })

  it("without --output writes to stdout, and nothing else there", async () => {
    const { code, stderr, stdout } = await batch(["-"], undefined, "one\ntwo\n")
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(results(linesOf(stdout).toSorted((a, b) => a.index - b.index)), ["echo: one", "echo: two"])
    assert.notInclude(stderr, "\u001b")
  })

  it("a failure hides no other: code 1, the error in its line and told on stderr", async () => {
    await write("in.txt", "one", "bad", "three")
    const { code, stderr } = await batch(["in.txt", "-o", "out.jsonl"], { match: [when("bad", bad)] })
    assert.strictEqual(code, 1)
    const lines = await output()
    assert.deepStrictEqual(results(lines), ["echo: one", "failed", "echo: three"])
    assert.strictEqual(lines[1]?.error?.tag, "ApiError")
    assert.match(stderr, /^Prompt 2 failed: ApiError: .*no such thing.*\n2 completed, 1 failed: .*\n$/)
  })

  it("begins nothing more when the budget is spent, and says so", async () => {
    await write("in.txt", "one", "two", "three")
    const args = ["in.txt", "-o", "out.jsonl", "-c", "1", "--max-budget-usd", "0.0001"]
    const { code, stderr } = await batch(args)
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(await asked(), ["one"])
    assert.deepStrictEqual(results(await output()), ["echo: one", "cancelled", "cancelled"])
    assert.include(stderr, "2 not begun, because the budget is spent")
    const again = await batch([...args, "--resume"])
    assert.strictEqual((await asked()).length, 1, "what earlier runs have spent is spent")
    assert.notStrictEqual(again.code, 0)
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(await asked(), ["one", "three", "two"])
  })
})

describe("ccflow batch refuses, before anything is asked and with code 2,", () => {
  it.each([
    ["a bad line, by its number", "in.jsonl", ["\"a\"", "{\"promt\":\"b\"}"], [], "line 2"],
    ["a bad option of a line", "in.jsonl", ["{\"prompt\":\"a\",\"options\":{\"maxTurns\":0}}"], [], "maxTurns"],
    ["a quote that is not closed", "in.csv", ["prompt", "a", "\"b"], [], "line 3"],
    ["a column that there is not", "in.csv", ["prompt", "a"], ["--key-column", "id"], "\"id\""],
    ["a file that says not what it is", "in", ["a"], [], "--format"],
    ["columns of what has none", "in.txt", ["a"], ["--template", "{{a}}"], "CSV"],
    ["a file that is not there", "other.txt", ["a"], [], "ENOENT"],
    ["a concurrency that is none", "in.txt", ["a"], ["-c", "0"], "--concurrency"],
    ["a budget that is none", "in.txt", ["a"], ["--max-budget-usd", "0"], "--max-budget-usd"],
    ["an option that it does not know", "in.txt", ["a"], ["--concurency", "3"], "--concurency"],
    ["to resume nothing", "in.txt", ["a"], ["--resume"], "--output"]
  ])("%s", async (_, name, lines, args, named) => {
    if (name !== "other.txt") await write(name, ...lines)
    const { code, stderr } = await batch([name, ...args])
    assert.deepStrictEqual([code, await asked()], [2, []])
    assert.include(stderr, named)
  })

  it("to overwrite an output, unless --force says so", async () => {
    await write("in.txt", "one")
    await write("out.jsonl", "precious")
    const { code, stderr } = await batch(["in.txt", "-o", "out.jsonl"])
    assert.strictEqual(code, 2)
    assert.match(stderr, /--resume.*--force/)
    assert.strictEqual(await readFile(at("out.jsonl"), "utf8"), "precious\n")
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--force", "-c", "0"])).code, 2)
    assert.strictEqual(await readFile(at("out.jsonl"), "utf8"), "precious\n")
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--force"])).code, 0)
    assert.deepStrictEqual(results(await output()), ["echo: one"])
    // It began anew: what it has asked before is asked again.
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--force"])).code, 0)
    assert.deepStrictEqual(await asked(), ["one", "one"])
  })

  it("to write over its input, also with --force", async () => {
    await write("in.txt", "one")
    assert.strictEqual((await batch(["in.txt", "-o", "./in.txt", "--force"])).code, 2)
    assert.strictEqual(await readFile(at("in.txt"), "utf8"), "one\n")
  })

  it("to go on with a file that no batch has written, and leaves it as it is", async () => {
    await write("in.txt", "one")
    await write("notes.txt", "my notes", "more notes")
    const { code, stderr } = await batch(["in.txt", "-o", "notes.txt", "--resume"])
    assert.strictEqual(code, 2)
    assert.include(stderr, "line 1")
    assert.strictEqual(await readFile(at("notes.txt"), "utf8"), "my notes\nmore notes\n")
  })
})

describe("ccflow batch --resume", () => {
  // What it has said by then has been read.
  const slow = when(
    "slow",
    { text: "begun" },
    { delay: 300 },
    { writeFile: { path: "$CWD/begun-$UUID", content: "$PROMPT" } },
    { sleepForever: true }
  )
  const bothBegun = async () => (await filed("begun")).length === 2
  const prompts = ["one", "two", "slow 1", "slow 2", "three"]

  it("asks again what has failed, and nothing that is completed, also where lines were added", async () => {
    await write("in.txt", "one", "bad", "two")
    await batch(["in.txt", "-o", "out.jsonl"], { match: [when("bad", bad)] })
    await forget()
    await write("in.txt", "new", "one", "bad", "two")
    const { code, stderr } = await batch(["in.txt", "-o", "out.jsonl", "--resume"])
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(await asked(), ["bad", "new"])
    assert.include(stderr, "2 completed, 0 failed, 2 completed earlier")
    await forget()
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(await asked(), [])
  })

  it("begins an output that is not there yet", async () => {
    await write("in.txt", "one")
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(results(await output()), ["echo: one"])
  })

  it("runs the rest after Ctrl-C, which leaves what has ended, no process, and says how to go on: code 130", async () => {
    await write("in.txt", ...prompts)
    const { child, ended } = start(["in.txt", "-o", "out.jsonl", "-c", "2"], { match: [slow] })
    await until(bothBegun)
    child.kill("SIGINT")
    const { code, stderr } = await ended
    assert.strictEqual(code, 130)
    assert.include(stderr, "--resume")
    await nobodyLeft()
    assert.deepStrictEqual(results(await output()), ["echo: one", "echo: two"])

    const before = (await asked()).length
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(
      (await output()).map(({ prompt, status }) => [prompt, status]),
      prompts.map((prompt) => [
        prompt,
        "completed"
      ])
    )
    const all = await asked()
    assert.isAbove(all.length, before)
    for (const prompt of prompts) {
      assert.strictEqual(all.filter((each) => each === prompt).length, 1, prompt)
    }
  })

  it("runs the rest after SIGKILL, and repairs the line that was torn", async () => {
    await write("in.txt", ...prompts)
    const { child, ended } = start(["in.txt", "-o", "out.jsonl", "-c", "2"], { match: [slow] })
    await until(async () => await bothBegun() && (await output()).length === 2)
    child.kill("SIGKILL")
    await ended
    // What goes on for ever does so without its host.
    for (const pid of (await filed("pid")).map(Number).filter(lives)) process.kill(pid, "SIGKILL")
    await appendFile(at("out.jsonl"), "{\"key\":\"torn\",\"index\":9,\"prompt\":\"größ")
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(
      (await output()).map(({ prompt, status }) => [prompt, status]),
      prompts.map((prompt) => [
        prompt,
        "completed"
      ])
    )
    const all = await asked()
    for (const prompt of prompts) {
      assert.strictEqual(all.filter((each) => each === prompt).length, 1, prompt)
    }
  })

  it("keeps a last line that lacks nothing but its end", async () => {
    await write("in.txt", "one", "two")
    await batch(["in.txt", "-o", "out.jsonl", "-c", "1"])
    await writeFile(at("out.jsonl"), (await readFile(at("out.jsonl"), "utf8")).trimEnd())
    await forget()
    await write("in.txt", "one", "two", "three")
    assert.strictEqual((await batch(["in.txt", "-o", "out.jsonl", "--resume"])).code, 0)
    assert.deepStrictEqual(await asked(), ["three"])
    assert.deepStrictEqual(results(await output()), ["echo: one", "echo: two", "echo: three"])
  })
})

describe("ccflow batch -", () => {
  it("answers while the input has no end, and Ctrl-C ends it at once", async () => {
    const running = start(["-"])
    running.child.stdin.write("one\n")
    await until(async () => linesOf(running.stdout()).length === 1)
    running.child.stdin.write("two\nthree\n")
    await until(async () => linesOf(running.stdout()).length === 3)
    const began = performance.now()
    running.child.kill("SIGINT")
    assert.strictEqual((await running.ended).code, 130)
    assert.isBelow(performance.now() - began, 5000)
  })

  it("a bad line ends it when what was read has ended: code 2", async () => {
    const { code, stderr, stdout } = await batch(
      ["-", "--format", "jsonl"],
      undefined,
      "\"one\"\n\"two\"\n{\n\"four\"\n"
    )
    assert.strictEqual(code, 2)
    assert.include(stderr, "line 3")
    assert.deepStrictEqual(results(linesOf(stdout)).toSorted(), ["echo: one", "echo: two"])
  })
})

it("ccflow batch leaves at once when Ctrl-C comes twice, and so do its processes", async () => {
  await write("in.txt", "deaf")
  const ignores = { SIGINT: "ignore", SIGTERM: "ignore", SIGHUP: "ignore" }
  const script = { signals: ignores, onEof: [{ sleepForever: true }], match: [when("deaf", { sleepForever: true })] }
  const { child, ended } = start(["in.txt", "-o", "out.jsonl"], script)
  await until(async () => (await asked()).length === 1)
  child.kill("SIGINT")
  await sleep(300)
  const began = performance.now()
  child.kill("SIGINT")
  const { signal } = await ended
  assert.strictEqual(signal, "SIGINT")
  assert.isBelow(performance.now() - began, 5000)
  // They were killed by a host that did not stay to see it.
  await until(async () => !(await filed("pid")).map(Number).some(lives))
})

describe.skipIf(noTerminal !== undefined)(
  `ccflow batch at a terminal${noTerminal === undefined ? "" : ` (skipped: ${noTerminal})`}`,
  () => {
    const sit = (args: ReadonlyArray<string>, script?: Script, options: TerminalOptions = {}) =>
      new Seat([process.execPath, command, "batch", ...args], {
        ...options,
        cwd: folder,
        env: { ...environment(script), ...options.env }
      })
    const redraws = (written: string) => written.split("\r\u001b[J").length - 1

    it("draws how far it is in one line, at most ten times a second, and takes it away at the end", async () => {
      await write("in.txt", "one", "bad", ...Array.from({ length: 20 }, (_, index) => `p${index}`))
      const delayed = when("p", { delay: 50 }, { text: "x" }, { result: {} })
      const began = performance.now()
      await using seat = sit(["in.txt", "-o", "out.jsonl"], { match: [when("bad", bad), delayed] }, { columns: 160 })
      await seat.until("/22 done")
      await seat.until("running")
      assert.strictEqual(await seat.ended, 1)
      const tenths = (performance.now() - began) / 100
      assert.isAbove(redraws(seat.written), 3)
      assert.isBelow(redraws(seat.written), tenths + 10)
      const rows = seat.screen.filter((row) => row !== "")
      assert.strictEqual(rows.length, 2, rows.join("\n"))
      assert.match(rows[0] ?? "", /^Prompt 2 failed: ApiError/)
      assert.match(rows[1] ?? "", /^21 completed, 1 failed: \$/)
    })

    it("fits a narrow window, and is gone when Ctrl-C has stopped it: code 130", async () => {
      await write("in.txt", "one", "slow")
      const slow = when("slow", { sleepForever: true })
      await using seat = sit(["in.txt", "-o", "out.jsonl"], { match: [slow] }, { columns: 24 })
      await seat.until("1/2 done")
      await sleep(300)
      assert.isAtMost(Math.max(...seat.screen.map((row) => row.length)), 21)
      assert.strictEqual(seat.screen.filter((row) => row !== "").length, 1)
      seat.type("\u0003")
      assert.strictEqual(await seat.ended, 130)
      assert.notInclude(seat.screen.join(""), "running")
      assert.include(seat.screen.join(""), "--resume")
      await nobodyLeft()
    })
  }
)
