import { type createClient, type Message } from "ccflow"
import { cassetteClient } from "ccflow/testing"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import { isAlive } from "../packages/testing/test/fakeClaude.js"
import { eventually } from "./fixtures/lifecycle/processes.js"
import { fakeClaude } from "./support/bundle.js"
import { cassetteProgram } from "./support/cassetteProgram.js"
import { commandBundle } from "./support/commandBundle.js"
import { follow } from "./support/programs.js"

let cassettes: Awaited<ReturnType<typeof cassetteProgram>>
const command = await commandBundle()
let folder: string
beforeAll(async () => {
  cassettes = await cassetteProgram()
  folder = await mkdtemp(join(tmpdir(), "cassette-test-"))
})
afterAll(async () => {
  await cassettes[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const children = new Set<ChildProcess>()
afterEach(() => {
  for (const child of children) child.kill("SIGKILL")
  children.clear()
})

interface Setting {
  readonly stdin?: string
  readonly script?: unknown
  readonly env?: Readonly<Record<string, string | undefined>>
}

const started = (file: string, args: ReadonlyArray<string>, { env, script }: Setting = {}) => {
  const program = follow(spawn(file, args, {
    env: {
      PATH: `${dirname(process.execPath)}:/usr/bin:/bin`,
      HOME: folder,
      CCFLOW_CLI_PATH: fakeClaude,
      CCFLOW_CASSETTE_PROGRAM: cassettes.path,
      ...(script === undefined ? {} : { FAKE_CLAUDE_SCRIPT: JSON.stringify(script) }),
      ...env
    }
  }))
  children.add(program.child)
  return program
}

const run = (file: string, args: ReadonlyArray<string>, setting: Setting = {}) => {
  const { child, ended } = started(file, args, setting)
  child.stdin.end(setting.stdin ?? "")
  return ended
}
const ccflow = (args: ReadonlyArray<string>, setting?: Setting) => run(process.execPath, [command, ...args], setting)
const asking = (...args: ReadonlyArray<string>) => [process.execPath, command, ...args]
const noCli = { CCFLOW_CLI_PATH: "/there/is/no/claude" }

let files = 0
const newFile = () => join(folder, `${++files}.ndjson`)
const headOf = (file: string) => JSON.parse(readFileSync(file, "utf8").split("\n")[0] ?? "") as object

describe("ccflow record and replay", () => {
  it("record a program and play it without a CLI: its output and its exit code are the same", async () => {
    const file = newFile()
    const recorded = await ccflow(["record", file, "--", ...asking("What is 2+2?")])
    assert.deepStrictEqual(recorded, { code: 0, signal: null, stdout: "echo: What is 2+2?\n", stderr: "" })
    assert.deepInclude(headOf(file), { cassette: 1, claude: "2.1.330" })
    assert.notProperty(headOf(file), "cut")
    assert.strictEqual((await stat(file)).mode & 0o777, 0o600)
    assert.deepStrictEqual(await ccflow(["replay", file, "--", ...asking("What is 2+2?")], { env: noCli }), recorded)
  })

  it("give the program its arguments and its exit code, whatever it is", async () => {
    const script = "console.log(process.argv.slice(1).join()); process.exit(7)"
    const ended = await ccflow(["record", newFile(), "--", process.execPath, "-e", script, "--", "--version", "a b"])
    assert.deepInclude(ended, { code: 7, stdout: "--version,a b\n" })
    assert.strictEqual((await ccflow(["record", newFile(), "--", "no-such-program"])).code, 1)
  })

  it("say what another prompt differs in, and fail where the program did not mind", async () => {
    const file = newFile()
    await ccflow(["record", file, "--", ...asking("What is 2+2?")])
    const other = await ccflow(["replay", file, "--", ...asking("What is 2+3?")])
    assert.strictEqual(other.code, 1)
    assert.include(other.stderr, "- What is 2+2?\n+ What is 2+3?\n")
    const swallowing = `${asking("'What is 2+3?'").join(" ")} 2>/dev/null; exit 0`
    const swallowed = await ccflow(["replay", file, "--", "sh", "-c", swallowing])
    assert.strictEqual(swallowed.code, 1)
    assert.include(swallowed.stderr, "+ What is 2+3?\n")
  })

  it("work for a program that looks for claude itself, with its prompts on stdin or as an argument", async () => {
    const file = newFile()
    const script = "claude -p --output-format text 'one'; printf two | claude -p"
    const recorded = await ccflow(["record", file, "--", "sh", "-c", script])
    assert.deepInclude(recorded, { code: 0, stdout: "echo: one\necho: two\n" })
    assert.deepStrictEqual(await ccflow(["replay", file, "--", "sh", "-c", script], { env: noCli }), recorded)
    const other = await ccflow(["replay", file, "--", "sh", "-c", script.replace("one", "three")])
    assert.include(other.stderr, "the recording has no process like this one left")
  })

  it("record every process of a batch, and play it in whatever order it asks", async () => {
    const file = newFile()
    const prompts = join(folder, "prompts.txt")
    await writeFile(prompts, "one\ntwo\nthree\nfour\n")
    const batch = ["batch", prompts, "--concurrency", "3"]
    const recorded = await ccflow(["record", file, "--", ...asking(...batch)])
    assert.strictEqual(recorded.code, 0, recorded.stderr)
    const sorted = (text: string) => [...text.matchAll(/echo: \w+/g)].map(String).sort()
    const played = await ccflow(["replay", file, "--", ...asking(...batch)], { env: noCli })
    assert.deepStrictEqual(sorted(played.stdout), ["echo: four", "echo: one", "echo: three", "echo: two"])
    assert.deepStrictEqual(sorted(played.stdout), sorted(recorded.stdout))
    assert.strictEqual(readFileSync(file, "utf8").match(/"start"/g)?.length, 4)
    assert.notProperty(headOf(file), "cut")
  })

  it("tell what they do, and refuse what they cannot", async () => {
    assert.include((await ccflow(["record", "--help"])).stdout, "CCFLOW_CASSETTE=<file>")
    const missing = await ccflow(["replay", newFile(), "--", "true"])
    assert.strictEqual(missing.code, 2)
    assert.include(missing.stderr, "Record it first: ccflow record")
  })
})

describe("CCFLOW_CASSETTE", () => {
  it("records where there is no file and plays it then, in a program that knows nothing of it", async () => {
    const file = newFile()
    const ask = ["hello"]
    const first = await ccflow(ask, { env: { CCFLOW_CASSETTE: file } })
    assert.strictEqual(first.stdout, "echo: hello\n", first.stderr)
    const again = await ccflow(ask, { env: { CCFLOW_CASSETTE: file, ...noCli } })
    assert.deepStrictEqual(again, first)
  })

  it("never records on a build server, nor where it is told to replay", async () => {
    for (const env of [{ CI: "true" }, { CCFLOW_CASSETTE_MODE: "replay" }]) {
      const file = newFile()
      const ended = await ccflow(["hello"], { env: { ...env, CCFLOW_CASSETTE: file } })
      assert.strictEqual(ended.code, 1)
      assert.include(ended.stderr, "Record it first")
      assert.isFalse(existsSync(file))
    }
  })

  it("says that a mode is none, and that the CLI to record is missing", async () => {
    const mode = await ccflow(["hello"], { env: { CCFLOW_CASSETTE: newFile(), CCFLOW_CASSETTE_MODE: "rewind" } })
    assert.include(mode.stderr, "CCFLOW_CASSETTE_MODE must be one of auto, record, replay")
    const missing = await ccflow(["hello"], { env: { CCFLOW_CASSETTE: newFile(), ...noCli } })
    assert.include(missing.stderr, "CliNotFoundError")
  })
})

describe("the program that records", () => {
  const line = (content: string) => `${JSON.stringify({ type: "user", message: { role: "user", content } })}\n`
  const stream = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"]
  const recording = (file: string, script?: unknown, env: Setting["env"] = {}) =>
    started(cassettes.path, stream, {
      script,
      env: { CCFLOW_CASSETTE: file, CCFLOW_CASSETTE_MODE: "record", CCFLOW_CASSETTE_CLI: fakeClaude, ...env }
    })
  const playing = (file: string) => started(cassettes.path, stream, { env: { CCFLOW_CASSETTE: file } })

  const toldIn = async (file: string) => {
    await eventually("the turn runs", () => existsSync(file) && readFileSync(file, "utf8").endsWith("}"))
    return JSON.parse(await readFile(file, "utf8")) as { readonly env: object; readonly pid: number }
  }

  it("ends by the CLI's signal, and what is played does, too", async () => {
    const file = newFile()
    const first = recording(file, [[{ init: {} }, { text: "half" }, { stderr: "so long" }, { kill: "SIGKILL" }]])
    first.child.stdin.write(line("go"))
    const recorded = await first.ended
    assert.deepInclude(recorded, { code: null, signal: "SIGKILL", stderr: "so long" })
    const again = playing(file)
    again.child.stdin.write(line("go"))
    assert.deepInclude(await again.ended, { code: null, signal: "SIGKILL", stderr: "so long" })
  })

  it("passes a signal on to the CLI, and leaves no process", async () => {
    const pidFile = join(folder, "pid")
    const first = recording(newFile(), [[{ init: {} }, { readEnv: [], to: pidFile }, { sleepForever: true }]])
    first.child.stdin.write(line("go"))
    const { env, pid } = await toldIn(pidFile)
    assert.deepStrictEqual(Object.keys(env).filter((name) => name.startsWith("CCFLOW_CASSETTE")), [])
    first.child.kill("SIGTERM")
    assert.strictEqual((await first.ended).code, 143)
    assert.isFalse(isAlive(pid))
  })

  it("leaves a cassette that is marked as cut when it is killed, and that plays what it has", async () => {
    const [file, pidFile] = [newFile(), join(folder, "pid-of-the-cut")]
    const first = recording(file, {
      turns: [[{ init: {} }, { text: "one" }, { result: {} }], [{ readEnv: [], to: pidFile }, { sleepForever: true }]]
    })
    first.child.stdin.write(line("a"))
    await eventually("the first turn is over", () => first.stdout().includes("\"result\""))
    first.child.stdin.write(line("b"))
    await eventually("the second prompt is recorded", () => readFileSync(file, "utf8").includes("\"b\""))
    const { pid } = await toldIn(pidFile)
    first.child.kill("SIGKILL")
    await first.ended
    // A turn that never ends goes on without who has asked.
    process.kill(pid, "SIGKILL")
    assert.deepInclude(headOf(file), { cut: true })
    const again = playing(file)
    again.child.stdin.write(line("a"))
    await eventually("the first turn is played", () => again.stdout().includes("\"one\""))
    again.child.stdin.write(line("b"))
    const { code, stderr } = await again.ended
    assert.strictEqual(code, 1)
    assert.include(stderr, "the recording was cut here")
  })

  it("takes the rules of the user's module, in recording and in playing", async () => {
    const [file, rules] = [newFile(), join(folder, "rules.mjs")]
    await writeFile(rules, "export default (text) => text.replaceAll(/Babbage|Lovelace/g, 'X')")
    const env = { CCFLOW_CASSETTE: file, CCFLOW_CASSETTE_REDACT: rules }
    assert.strictEqual((await ccflow(["of Babbage"], { env })).stdout, "echo: of Babbage\n")
    assert.notInclude(await readFile(file, "utf8"), "Babbage")
    assert.strictEqual((await ccflow(["of Lovelace"], { env: { ...env, ...noCli } })).stdout, "echo: of X\n")
  })
})

describe("cassetteClient", () => {
  const told = async (
    client: AsyncDisposable & { query: ReturnType<typeof createClient>["query"] },
    prompt: string
  ) => {
    const messages: Array<Message["_tag"]> = []
    for await (const message of client.query(prompt)) messages.push(message._tag)
    return messages
  }

  it("records the real CLI where there is no file, and plays it then", async () => {
    const file = newFile()
    const options = { cliPath: fakeClaude }
    const recorded = await (async () => {
      await using client = cassetteClient(file, { mode: "record", options })
      return [await told(client, "hi"), await client.querySimple("2+2?")]
    })()
    assert.isTrue(existsSync(file))
    await using client = cassetteClient(file, { options: { cliPath: "/no/claude" } })
    assert.deepStrictEqual([await told(client, "hi"), await client.querySimple("2+2?")], recorded)
    const error = await client.querySimple("2+3?").then(() => undefined, (cause: Error) => cause)
    assert.include(error?.message, "have all been played")
  })

  it("rejects with what is different", async () => {
    const file = newFile()
    {
      await using client = cassetteClient(file, { mode: "record", options: { cliPath: fakeClaude } })
      await client.querySimple("2+2?")
    }
    await using client = cassetteClient(file)
    const error = await client.querySimple("2+3?").then(() => undefined, (cause: Error) => cause)
    assert.include(error?.message, `the recording has the prompt "2+2?", and the prompt "2+3?" was sent`)
  })
})
