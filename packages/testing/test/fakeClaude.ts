import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll } from "vitest"

export const fake = fileURLToPath(new URL("../bin/fake-claude.mjs", import.meta.url))
export const STREAM = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"]
export const PARTIAL = [...STREAM, "--include-partial-messages"]

export type Frame = Readonly<Record<string, unknown>>
interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly stderr: string
  readonly frames: ReadonlyArray<Frame>
}

const children = new Set<ChildProcess>()
/** Processes that a test made in other ways. */
export const strays = new Set<number>()
let folder = ""
/** No test leaves a process, no file of tests a folder: each of them calls this first. */
export const cleanUp = () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "fake-claude-"))
  })
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL")
    for (const pid of strays) if (isAlive(pid)) process.kill(pid, "SIGKILL")
    children.clear()
    strays.clear()
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
}

let names = 0
export const newPath = () => join(folder, `file-${names++}`)
export const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
export const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms))
export const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(2)
}
/** The lines of the text that are JSON; a test that cares about every byte looks at `stdout`. */
export const parse = (text: string): ReadonlyArray<Frame> =>
  text.split("\n").flatMap((line) => {
    try {
      return [JSON.parse(line) as Frame]
    } catch {
      return []
    }
  })
/** The value at a dotted path. */
export const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((inner, key) => (inner as Frame | null | undefined)?.[key], value)
const kind = (frame: Frame) =>
  [frame["type"], frame["subtype"] ?? frame["state"] ?? at(frame, "event.type")].filter((part) => part !== undefined)
    .join("/")
export const kinds = (frames: ReadonlyArray<Frame>) => frames.map(kind)
export const only = (frames: ReadonlyArray<Frame>, type: string) => frames.filter((frame) => frame["type"] === type)
export const user = (content: unknown, uuid?: string) => ({ type: "user", message: { role: "user", content }, uuid })
export const control = (id: string, request: Frame) => ({ type: "control_request", request_id: id, request })
export const reply = (frames: ReadonlyArray<Frame>, id: string) =>
  at(only(frames, "control_response").find((frame) => at(frame, "response.request_id") === id), "response")

interface Options {
  readonly script?: unknown
  readonly args?: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
  readonly readStdout?: boolean
}

/** Starts the process; `take` gives the next frame that fits, in order. */
export const start = ({ args = STREAM, env = {}, readStdout = true, script }: Options = {}) => {
  const source = script === undefined || typeof script === "string" ? script : JSON.stringify(script)
  const child = spawn(fake, args, {
    stdio: "pipe",
    env: { PATH: process.env["PATH"], ...(source !== undefined && { FAKE_CLAUDE_SCRIPT: source }), ...env }
  })
  children.add(child)
  const chunks: Array<Buffer> = []
  let stderr = ""
  let taken = 0
  const writeErrors: Array<string> = []
  if (readStdout) child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => stderr += chunk)
  child.stdin.on("error", (error: NodeJS.ErrnoException) => writeErrors.push(String(error.code)))
  const text = () => Buffer.concat(chunks).toString()
  const complete = () => parse(text().slice(0, text().lastIndexOf("\n") + 1))
  const closed = new Promise<Ending>((done) =>
    child.on("close", (code, signal) => {
      children.delete(child)
      const stdout = Buffer.concat(chunks)
      done({ code, signal, stdout, stderr, frames: [] })
    })
  )
  return {
    child,
    writeErrors,
    text,
    stderr: () => stderr,
    exited: new Promise<number | null>((done) => child.on("exit", done)),
    send: (...frames: ReadonlyArray<unknown>) =>
      child.stdin.write(
        frames.map((frame) => `${typeof frame === "string" ? frame : JSON.stringify(frame)}\n`).join("")
      ),
    take: async (name: string): Promise<Frame> => {
      for (;;) {
        const frames = complete()
        const index = frames.findIndex((frame, position) => position >= taken && kind(frame) === name)
        if (index >= 0) {
          taken = index + 1
          return frames[index]!
        }
        await sleep(2)
      }
    },
    end: async (): Promise<Ending> => {
      child.stdin.end()
      const ending = await closed
      return { ...ending, frames: parse(text()) }
    },
    closed
  }
}

/** Runs it to its end with these lines on stdin. */
export const run = (options: Options, ...lines: ReadonlyArray<unknown>): Promise<Ending> => {
  const process = start(options)
  if (lines.length > 0) process.send(...lines)
  return process.end()
}
export const turn = (steps: ReadonlyArray<unknown>, more: Options = {}) => run({ script: [steps], ...more }, user("hi"))
