import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { pathToFileURL } from "node:url"
import { assert, beforeAll, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { commandBundle } from "./support/commandBundle.js"
import { type Ended, follow } from "./support/programs.js"

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-command-"))
})

interface Setting {
  readonly command?: string
  readonly stdin?: string
  readonly script?: unknown
  readonly env?: Readonly<Record<string, string>>
  readonly terminal?: boolean
  readonly interruptWhen?: (stdout: string) => boolean
}

const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

const ccflow = (args: ReadonlyArray<string>, setting: Setting = {}): Promise<Ended> => {
  const whole = [process.execPath, setting.command ?? command, ...args]
  const [file, ...rest] = setting.terminal === true
    ? ["script", "-qec", whole.map(quote).join(" "), "/dev/null"]
    : whole
  const { child, ended, stdout } = follow(spawn(file!, rest, {
    env: {
      PATH: process.env["PATH"],
      TERM: "xterm",
      CCFLOW_CLI_PATH: fakeClaude,
      ...(setting.script === undefined ? {} : { FAKE_CLAUDE_SCRIPT: JSON.stringify(setting.script) }),
      ...setting.env
    }
  }))
  let interrupted = false
  child.stdout.on("data", () => {
    if (interrupted || setting.interruptWhen?.(stdout()) !== true) return
    interrupted = true
    child.kill("SIGINT")
  })
  if (setting.terminal !== true) child.stdin.end(setting.stdin ?? "")
  return ended
}

const turn = (...steps: ReadonlyArray<unknown>) => [[{ init: {} }, ...steps]]

describe("ccflow --version", () => {
  it("is told without anything of the program being loaded", async () => {
    const alone = await mkdtemp(join(tmpdir(), "ccflow-version-"))
    await cp(dirname(command), alone, { recursive: true, filter: (path) => !path.endsWith("node_modules") })
    const program = (await readdir(alone)).filter((file) => file.startsWith("program-"))
    assert.lengthOf(program, 1)
    await rm(join(alone, program[0]!))
    const told = await ccflow(["--version"], { command: join(alone, "main.mjs") })
    assert.match(told.stdout, /^\d+\.\d+\.\d+\n$/)
    assert.deepStrictEqual(told, { code: 0, signal: null, stdout: told.stdout, stderr: "" })
    assert.strictEqual((await ccflow(["--version", "--json"])).stdout.trim(), told.stdout.trim())
  })
})

describe("ccflow \"prompt\"", () => {
  it("prints the answer's text on stdout, ended by one newline, and nothing else", async () => {
    assert.deepStrictEqual(await ccflow(["What is 2+2?"]), {
      code: 0,
      signal: null,
      stdout: "echo: What is 2+2?\n",
      stderr: ""
    })
  })

  it("takes options on either side of the prompt, and several words as one prompt", async () => {
    const ended = await ccflow(["what", "is", "this", "-m", "opus", "--max-turns=3"])
    assert.strictEqual(ended.stdout, "echo: what is this\n")
  })

  it("reads the prompt from stdin when it is piped in", async () => {
    assert.strictEqual((await ccflow([], { stdin: "piped in\n" })).stdout, "echo: piped in\n")
  })

  it("gives its options to the CLI and its prompt to nobody's process list", async () => {
    const seen = join(folder, "seen.json")
    await ccflow(["-m", "opus", "--max-turns", "3", "--system-prompt", "Be brief.", "a secret prompt"], {
      script: { start: [{ readEnv: [], to: seen }] }
    })
    const { argv } = JSON.parse(await readFile(seen, "utf8")) as { readonly argv: ReadonlyArray<string> }
    assert.includeMembers([...argv], ["--model=opus", "--max-turns=3"])
    assert.notInclude(argv.join(" "), "secret")
    assert.notInclude(argv.join(" "), "brief")
  })

  it("prints every message as one line of JSON with --json", async () => {
    const { stdout } = await ccflow(["--json", "hi"])
    const tags = stdout.trimEnd().split("\n").map((line) => (JSON.parse(line) as { readonly _tag: string })._tag)
    assert.deepStrictEqual(tags, ["Init", "Text", "Assistant", "Stop", "Result"])
  })

  it("prints structured output as JSON with --output-schema", async () => {
    const schema = join(folder, "schema.json")
    await writeFile(schema, JSON.stringify({ type: "object", properties: { sum: { type: "number" } } }))
    const ended = await ccflow(["--output-schema", schema, "2+2?"], {
      script: turn({ text: "thinking" }, { result: { structured_output: { sum: 4 } } })
    })
    assert.deepStrictEqual(JSON.parse(ended.stdout), { sum: 4 })
  })
})

describe("ccflow --help", () => {
  it("tells of the subcommands, and neither it nor a query needs what they do", async () => {
    const { code, stdout } = await ccflow(["--help"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "ccflow chat: ")
    assert.include(stdout, "ccflow sessions: ")
    const seen = join(folder, "loaded.txt")
    const loader = join(folder, "loader.mjs")
    const hook = join(folder, "hook.mjs")
    await writeFile(
      loader,
      `import { appendFileSync } from "node:fs"
       export const load = (url, context, next) => {
         appendFileSync(${JSON.stringify(seen)}, url + String.fromCharCode(10))
         return next(url, context)
       }`
    )
    await writeFile(
      hook,
      `import { register } from "node:module"\nregister(${JSON.stringify(pathToFileURL(loader).href)})`
    )
    assert.strictEqual((await ccflow(["hi"], { env: { NODE_OPTIONS: `--import=${hook}` } })).stdout, "echo: hi\n")
    const loaded = await readFile(seen, "utf8")
    assert.include(loaded, "main.mjs")
    assert.notMatch(loaded, /ChatCommand|SessionsCommand|[sS]qlite/)
    await ccflow(["sessions", "list"], {
      env: { NODE_OPTIONS: `--import=${hook}`, CCFLOW_SESSION_STORAGE_PATH: join(folder, "sessions.db") }
    })
    assert.match(await readFile(seen, "utf8"), /SessionsCommand[^]*[sS]qlite/)
  })
})

describe("what goes wrong", () => {
  it("no prompt: says so, code 2", async () => {
    const ended = await ccflow([])
    assert.strictEqual(ended.code, 2)
    assert.strictEqual(ended.stdout, "")
    assert.include(ended.stderr, "InvalidOptionsError: Invalid option prompt")
  })

  it("an unknown option: says so, code 2, and nothing is asked", async () => {
    const ended = await ccflow(["--no-such", "hi"])
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "--no-such")
    assert.strictEqual(ended.stdout, "")
  })

  it("behind -- everything is prompt", async () => {
    assert.strictEqual((await ccflow(["--", "--no-such"])).stdout, "echo: --no-such\n")
    assert.strictEqual((await ccflow(["--", "chat"])).stdout, "echo: chat\n")
    assert.strictEqual((await ccflow(["let", "us", "chat"])).stdout, "echo: let us chat\n")
  })

  it("no CLI: the hint says how to get one, code 1", async () => {
    const ended = await ccflow(["hi"], { env: { CCFLOW_CLI_PATH: join(folder, "none") } })
    assert.strictEqual(ended.code, 1)
    assert.include(ended.stderr, "CliNotFoundError")
    assert.include(ended.stderr, "npm install -g @anthropic-ai/claude-code")
  })

  it("a failed run: what was said stays on stdout, the error goes to stderr, code 1", async () => {
    const ended = await ccflow(["hi"], { script: turn({ text: "half an answer" }, { exit: 3 }) })
    assert.strictEqual(ended.code, 1)
    assert.strictEqual(ended.stdout, "half an answer\n")
    assert.include(ended.stderr, "CliExitError")
    assert.include(ended.stderr, "exit code 3")
  })

  it("a bad environment variable: names it, code 2", async () => {
    const ended = await ccflow(["hi"], { env: { CCFLOW_DEFAULT_TIMEOUT: "soon" } })
    assert.strictEqual(ended.code, 2)
    assert.include(ended.stderr, "CCFLOW_DEFAULT_TIMEOUT")
  })

  it("Ctrl-C stops the CLI and exits 130", async () => {
    const pidFile = join(folder, "pid")
    const ended = await ccflow(["hi"], {
      script: turn({ writeFile: { path: pidFile, content: "$PID" } }, { text: "begun" }, { sleepForever: true }),
      interruptWhen: (stdout) => stdout.includes("begun")
    })
    assert.strictEqual(ended.code, 130)
    const pid = Number(await readFile(pidFile, "utf8"))
    await sleep(50)
    assert.throws(() => process.kill(pid, 0))
  })

  it("a reader that goes away ends the command quietly", async () => {
    const child = spawn("sh", ["-c", `${quote(process.execPath)} ${quote(command)} hi | head -c 1`], {
      env: { PATH: process.env["PATH"], CCFLOW_CLI_PATH: fakeClaude },
      stdio: ["ignore", "pipe", "pipe"]
    })
    assert.strictEqual((await follow(child).ended).stderr, "")
  })
})

const hasScript = existsSync("/usr/bin/script")
describe("on a terminal", () => {
  const onTerminal = hasScript ? it : it.skip
  const script = turn(
    { emit: toolUse("Bash", { command: "npm test\u001b[2J" }) },
    { text: "All green.\u001b[2J", deltas: 3 },
    { result: {} }
  )

  onTerminal(
    "shows what a tool does, in colour, and lets no text steer the terminal (skipped: no script command)",
    async () => {
      const { stdout } = await ccflow(["hi"], { script, terminal: true })
      assert.include(stdout, "\u001b[2m> Bash npm test[2J\u001b[22m")
      assert.include(stdout, "All green.[2J")
      assert.notInclude(stdout, "\u001b[2J")
    }
  )

  onTerminal("honours NO_COLOR (skipped: no script command)", async () => {
    const { stdout } = await ccflow(["hi"], { script, terminal: true, env: { NO_COLOR: "1" } })
    assert.include(stdout, "> Bash npm test")
    assert.notInclude(stdout, "\u001b[")
  })
})

const toolUse = (name: string, input: unknown) => ({
  type: "assistant",
  parent_tool_use_id: null,
  session_id: "$SESSION",
  message: {
    id: "msg_1",
    model: "claude-fake",
    role: "assistant",
    content: [{ type: "tool_use", id: "toolu_1", name, input }]
  }
})
