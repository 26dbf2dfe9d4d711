// What each kind of step does, the placeholders in it, and how a list of steps runs.
import { randomUUID } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises"
import { answerOf } from "../../src/internal/protocol/questions.mjs"
import { askPermission, refusal, say } from "../../src/internal/protocol/speech.mjs"
import { isObject, promptOf, uuidsOf } from "../../src/internal/protocol/turn.mjs"
import { respond, work } from "./input.mjs"
import { attempt, err, lineOf, out, quit, toNull } from "./output.mjs"
import { kindOf } from "./script.mjs"
import { dialogue, session } from "./session.mjs"
import { state } from "./state.mjs"
import { ABORTED, ask, drive, race } from "./turn.mjs"

/** The well-behaved turn. */
export const ECHO = [{ init: {} }, { text: "echo: $PROMPT" }, { result: {} }]

const flood = (bytes, write) => {
  for (let left = bytes, n = 0; left > 0; left -= n) write(n = left < 2048 ? left : 1024)
}
const filler = (content) =>
  lineOf({ type: "system", subtype: "informational", content, level: "info", ...session.mark({}) })
const writeFiller = (bytes) => out.write(filler("x".repeat(Math.max(0, bytes - filler("").length))))
const envOf = (names) => Object.fromEntries(names.map((name) => [name, process.env[name] ?? null]))
const readText = (path) => path ? attempt(() => readFileSync(path, "utf8"), () => null) : null
/** A process that has ended and that nobody has reaped is not alive. */
const isAlive = (pid) =>
  attempt(() => process.kill(pid, 0), () => false) && !/\) Z [^)]*$/.test(readText(`/proc/${pid}/stat`) ?? "")
const writeJson = (path, value) => writeFileSync(path, JSON.stringify(value))

const LOGIN = "authentication_failed"
const CATEGORY = { 400: "invalid_request", 401: LOGIN, 403: LOGIN, 404: "model_not_found", 429: "rate_limit" }

const STEPS = {
  emit: (step) => dialogue.line(step.emit),
  raw: (step) => out.write(step.raw),
  rawBase64: (step) => out.write(Buffer.from(step.rawBase64, "base64")),
  echo: (_, turn) => runSteps(ECHO, turn),
  init: (step) => dialogue.init(step.init),
  text: ({ deltaDelay = 0, deltas = 3, text }, turn) => {
    if (session.partial) dialogue.system("status", { status: "requesting" })
    return drive(say(dialogue, { content: text, deltas, kind: "text" }), async () => {
      await race(turn, out.flush())
      if (deltaDelay > 0) await race(turn, sleep(deltaDelay))
    })
  },
  result: (step) => dialogue.result(step.result),
  error: ({ error: { apiError, category, message = "failed", status, type } }) => {
    const text = apiError && status ? message : `API Error: ${status ? `${status} ` : ""}${message}`
    const code = category ?? CATEGORY[status] ?? "server_error"
    const { assistant, result } = refusal({ apiError, code, message: text, status, type }, randomUUID())
    dialogue.print(assistant)
    dialogue.result(result, false)
  },
  askPermission: (step, turn) =>
    Promise.all(
      [step.askPermission].flat().map((one) =>
        drive(askPermission(dialogue, turn, one), async (request) => answerOf(await ask(turn, request)))
      )
    ),
  tool: async ({ tool: { input = {}, isError, ms = 0, name, result = "", steps = [] } }, turn) => {
    const id = dialogue.useTool(name, input)
    await runSteps(steps, turn)
    await race(turn, sleep(ms))
    dialogue.toolResult(id, result, isError)
  },
  background: ({ background, ms = 0 }) => {
    const id = dialogue.tasks.begin()
    setTimeout(() => dialogue.tasks.finish(id, background) && work(), ms)
  },
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
    dialogue.line({ type: "told", pid, argv, cwd: process.cwd(), ...facts })
  }
}

const VALUES = {
  PROMPT: (turn) => promptOf(turn.lines),
  SESSION: () => session.id,
  MODEL: () => session.model,
  CWD: () => process.cwd(),
  PID: () => process.pid,
  CHILD: () => state.child ?? "",
  UUID: () => randomUUID(),
  MEMORY: (turn) => turn.remembered ?? "",
  USER_UUID: (turn) => uuidsOf(turn.lines).at(-1) ?? "",
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
    if (turn.cut) throw ABORTED
    if (++ticks % 64 === 0) await tick()
  }
}
