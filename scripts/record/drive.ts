import { spawn } from "node:child_process"
import { mkdir, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { startMessagesApi } from "../../test/support/MessagesApi.js"
import type { Script } from "../../test/support/MessagesApi.js"
import { sandboxEnvironment, sandboxHome } from "../../test/support/RealCli.js"
import type { SandboxOptions } from "../../test/support/RealCli.js"
import { scrubber } from "./scrub.js"

export interface Frame {
  readonly type: string
  readonly subtype?: unknown
  readonly event?: unknown
  readonly request_id?: unknown
  readonly request?: unknown
  readonly response?: unknown
}

export interface Conversation {
  readonly send: (line: object) => void
  /** The stdin line of the n-th user message, counted from 1. */
  readonly prompt: (n: number, content: string) => void
  /** Closes stdin. */
  readonly end: () => void
  /** Does not wait for an end that may never come. */
  readonly kill: () => void
}

export interface Scenario {
  readonly name: string
  readonly description: string
  readonly script: () => Script
  readonly prompt?: string
  /** The fields of an `initialize` request, sent before the prompt. Without it there is none. */
  readonly initialize?: object
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly credentials?: NonNullable<SandboxOptions["credentials"]>
  readonly files?: Readonly<Record<string, string>>
  /** Nobody listens at the API's address. */
  readonly apiDown?: boolean
  /** stdin is closed after so many `result` lines. */
  readonly results?: number
  /** Made anew for each run, since it may remember what it has seen. */
  readonly react?: () => (frame: Frame, conversation: Conversation) => void
}

export interface Recording {
  readonly run: {
    readonly name: string
    readonly description: string
    readonly version: string
    readonly argv: ReadonlyArray<string>
    readonly env: Readonly<Record<string, string>>
    readonly credentials: string
    readonly stdin: ReadonlyArray<string>
    readonly exitCode: number | null
    readonly signal: string | null
    readonly apiRequests: ReadonlyArray<string>
  }
  readonly stdout: string
  readonly stderr: string
}

export const invocation = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"] as const

const limitMs = 60_000

const isFrame = (value: unknown): value is Frame =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string"

const parse = (line: string): Frame | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return isFrame(value) ? value : undefined
  } catch {
    return undefined
  }
}

const uuidOf = (n: number): string => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly stdin: ReadonlyArray<string>
  readonly pid: number
}

interface Start {
  readonly cli: string
  readonly argv: ReadonlyArray<string>
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

const converse = (start: Start, scenario: Scenario): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(start.cli, start.argv, { cwd: start.cwd, env: start.env, stdio: ["pipe", "pipe", "pipe"] })
    const out: Array<Buffer> = []
    const err: Array<Buffer> = []
    const stdin: Array<string> = []
    const react = scenario.react?.()
    let rest = ""
    let results = 0
    const send = (line: object): void => {
      const text = JSON.stringify(line)
      stdin.push(text)
      child.stdin.write(`${text}\n`)
    }
    const conversation: Conversation = {
      send,
      prompt: (n, content) => send({ type: "user", uuid: uuidOf(n), message: { role: "user", content } }),
      end: () => child.stdin.end(),
      kill: () => void child.kill("SIGKILL")
    }
    const onLine = (line: string): void => {
      const frame = parse(line)
      if (frame === undefined) return
      react?.(frame, conversation)
      if (frame.type === "result" && (results += 1) === (scenario.results ?? 1)) child.stdin.end()
    }
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      out.push(Buffer.from(part))
      const lines = (rest + part).split("\n")
      rest = lines.pop() ?? ""
      lines.forEach(onLine)
    })
    child.stderr.on("data", (part: Buffer) => err.push(part))
    // A CLI that refuses its flags is gone before it reads.
    child.stdin.on("error", () => undefined)
    child.on("error", reject)
    const limit = setTimeout(() => child.kill("SIGKILL"), limitMs)
    child.on("close", (code, signal) => {
      clearTimeout(limit)
      resolve({ code, signal, stdout: Buffer.concat(out), stderr: Buffer.concat(err), stdin, pid: child.pid ?? 0 })
    })
    const { initialize } = scenario
    if (initialize !== undefined) {
      send({ type: "control_request", request_id: "req_initialize", request: { subtype: "initialize", ...initialize } })
    }
    conversation.prompt(1, scenario.prompt ?? "What is 2+2?")
  })

/** Runs one scenario on the real CLI, in a home of its own and against a stand-in of its own. */
export const drive = async (scenario: Scenario, cli: string, version: string): Promise<Recording> => {
  await using api = await startMessagesApi(scenario.script())
  await using home = await sandboxHome()
  if (scenario.apiDown === true) await api.close()
  for (const [name, content] of Object.entries(scenario.files ?? {})) {
    const path = join(home.project, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
  const credentials = scenario.credentials ?? "apiKey"
  const env = scenario.env ?? {}
  const argv = [...invocation, ...(scenario.args ?? [])]
  const ended = await converse({
    cli,
    argv,
    cwd: home.project,
    env: sandboxEnvironment({ url: api.url, home: home.path, credentials, extra: env })
  }, scenario)
  const scrub = scrubber({ home: home.path, pid: ended.pid, port: api.port })
  return {
    run: {
      name: scenario.name,
      description: scenario.description,
      version,
      argv: argv.map(scrub),
      env,
      credentials,
      stdin: ended.stdin.map(scrub),
      exitCode: ended.code,
      signal: ended.signal,
      apiRequests: api.mainRequests().map((request) => `${request.model} ${request.stream ? "stream" : "json"}`)
    },
    stdout: scrub(ended.stdout.toString("utf8")),
    stderr: scrub(ended.stderr.toString("utf8"))
  }
}
