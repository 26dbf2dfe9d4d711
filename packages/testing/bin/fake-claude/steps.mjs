// What each kind of step does, the placeholders in it, and how a list of steps runs.
import { randomUUID } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises"
import { respond } from "./control.mjs"
import { apiError, init, meta, result } from "./frames.mjs"
import { attempt, emit, err, lineOf, out, quit, toNull } from "./output.mjs"
import { isObject, kindOf } from "./script.mjs"
import { state } from "./state.mjs"
import { begin } from "./tasks.mjs"
import { ABORTED, ask, askPermission, race, runTool, say } from "./turn.mjs"

/** The well-behaved turn. */
export const ECHO = [{ init: {} }, { text: "echo: $PROMPT" }, { result: {} }]

const flood = (bytes, write) => {
  for (let left = bytes, n = 0; left > 0; left -= n) write(n = left < 2048 ? left : 1024)
}
const filler = (content) => lineOf({ type: "system", subtype: "informational", content, level: "info", ...meta() })
const writeFiller = (bytes) => out.write(filler("x".repeat(Math.max(0, bytes - filler("").length))))
const envOf = (names) => Object.fromEntries(names.map((name) => [name, process.env[name] ?? null]))
const readText = (path) => path ? attempt(() => readFileSync(path, "utf8"), () => null) : null
/** A process that has ended and that nobody has reaped is not alive. */
const isAlive = (pid) =>
  attempt(() => process.kill(pid, 0), () => false) && !/\) Z [^)]*$/.test(readText(`/proc/${pid}/stat`) ?? "")
const writeJson = (path, value) => writeFileSync(path, JSON.stringify(value))

const STEPS = {
  emit: (step) => emit(step.emit),
  raw: (step) => out.write(step.raw),
  rawBase64: (step) => out.write(Buffer.from(step.rawBase64, "base64")),
  echo: (_, turn) => runSteps(ECHO, turn),
  init: (step, turn) => init(turn, step.init),
  text: (step, turn) => say(turn, step),
  result: (step, turn) => result(turn, step.result),
  error: (step, turn) => apiError(turn, step.error),
  askPermission: (step, turn) => Promise.all([step.askPermission].flat().map((one) => askPermission(turn, one))),
  tool: ({ tool }, turn) => runTool(turn, tool, () => runSteps(tool.steps ?? [], turn)),
  background: (step, turn) => begin(turn, step),
  request: async ({ request, to }, turn) => {
    turn.answer = await ask(turn, request)
    if (to) writeJson(to, turn.answer)
  },
  reply: ({ reply }, turn) => {
    turn.replied = true
    if (reply) respond(turn.control, reply)
  },
  stderr: (step) => err.write(step.stderr),
  floodStderr: (step) => flood(step.floodStderr, (n) => err.write(`${"e".repeat(n - 1)}\n`)),
  floodStdout: (step) => flood(step.floodStdout, writeFiller),
  delay: (step, turn) => race(turn, sleep(step.delay)),
  sleepForever: (_, turn) => race(turn, new Promise(() => {})),
  repeat: async ({ repeat, step, steps = [step] }, turn) => {
    for (let n = 0; n < repeat; n++) await runSteps(steps, Object.assign(turn, { n }))
  },
  exit: (step) => quit(step.exit),
  kill: (step) => {
    process.removeAllListeners(step.kill)
    process.kill(process.pid, step.kill)
  },
  grandchild: async ({ grandchild: { holdStdout, holdStderr, seconds = 60, writePid, ignoreSignals } }) => {
    const { spawn } = await import("node:child_process") // here, as it would slow every start
    const command = `${ignoreSignals ? "trap '' INT TERM HUP; " : ""}exec sleep ${seconds}`
    const stdio = ["ignore", holdStdout ? 1 : "ignore", holdStderr ? 2 : "ignore"]
    const { pid } = spawn("/bin/sh", ["-c", command], { stdio })
    state.child = pid
    if (writePid) writeFileSync(writePid, `${pid}`)
  },
  closeStdout: () => out.close(),
  closeStdin: () => {
    if (state.reading) process.stdin.destroy()
    toNull(0, "r")
    state.deaf = true
  },
  ignoreStdin: () => {
    if (state.reading) process.stdin.pause()
    state.deaf = true
  },
  writeFile: ({ writeFile: { path, content } }) => writeFileSync(path, content),
  readEnv: ({ readEnv, to }) => {
    writeJson(to, { env: envOf(readEnv), argv: process.argv.slice(2), cwd: process.cwd(), pid: process.pid })
  },
  tell: ({ tell: { env = [], files = [], alive = [] } }) => {
    const [{ pid }, argv] = [process, process.argv.slice(2)]
    const texts = files.map((path) => [path, readText(path)])
    const lives = alive.map((one) => [one, isAlive(one)])
    const facts = { env: envOf(env), files: Object.fromEntries(texts), alive: Object.fromEntries(lives) }
    emit({ type: "told", pid, argv, cwd: process.cwd(), ...facts })
  }
}

const VALUES = {
  PROMPT: (turn) => turn.prompt,
  SESSION: () => state.session,
  MODEL: () => state.model,
  CWD: () => process.cwd(),
  PID: () => process.pid,
  CHILD: () => state.child ?? "",
  UUID: () => randomUUID(),
  MEMORY: (turn) => turn.remembered ?? "",
  USER_UUID: (turn) => turn.uuids.at(-1) ?? "",
  TURN: (turn) => turn.index,
  N: (turn) => turn.n,
  REQUEST: (turn) => turn.control?.request_id ?? "",
  ANSWER: (turn) => JSON.stringify(turn.answer ?? null)
}
const PLACEHOLDER = new RegExp(`\\$(\\$?)(${Object.keys(VALUES).join("|")})(?![A-Z_])`, "g")
const fill = (value, turn) => {
  if (typeof value === "string") return value.replace(PLACEHOLDER, (_, $, name) => $ ? $ + name : VALUES[name](turn))
  if (Array.isArray(value)) return value.map((item) => fill(item, turn))
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, turn)]))
    : value
}

/** Their steps are filled in when they run. */
const LATER = new Set(["repeat", "background"])

let ticks = 0
export const runSteps = async (list, turn) => {
  for (const step of list) {
    const kind = kindOf(step)
    await STEPS[kind](LATER.has(kind) ? step : fill(step, turn), turn)
    await race(turn, out.flush() ?? err.flush())
    if (turn.aborted) throw ABORTED
    if (++ticks % 64 === 0) await tick()
  }
}
