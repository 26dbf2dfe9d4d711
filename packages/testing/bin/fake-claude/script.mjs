// Reads the script, and checks it: each check takes a value and its path, and ends the process if the value is wrong.
import { closeSync, openSync, readFileSync } from "node:fs"
import { constants } from "node:os"
import { isObject } from "../../src/internal/protocol/turn.mjs"
import { attempt, die } from "./output.mjs"
import { script } from "./state.mjs"

const bad = (path, why) => die(2, `fake-claude: FAKE_CLAUDE_SCRIPT: ${path} ${why}`)
const isStrings = (value) => Array.isArray(value) && value.every((item) => typeof item === "string")
const must = (what, ok) => (value, path) => ok(value) || bad(path, `must be ${what}`)
const object = must("an object", isObject)
const string = must("a string", (value) => typeof value === "string")
const boolean = must("true or false", (value) => typeof value === "boolean")
const yes = must("true", (value) => value === true)
const count = must("a whole number", (value) => Number.isInteger(value) && value >= 0)
const strings = must("a list of strings", isStrings)
const some = must("true or a list of strings", (value) => value === true || isStrings(value))
const signal = must("a signal name", (value) => Object.hasOwn(constants.signals, value))
const list = (item) => (value, path) =>
  Array.isArray(value) ? value.forEach((one, index) => item(one, `${path}[${index}]`)) : bad(path, "must be a list")
const record = (item) => (value, path) =>
  object(value, path) && Object.keys(value).forEach((key) => item(value[key], `${path}.${key}`, key))
const fields = (required, optional) => (value, path) => {
  const known = { __proto__: null, ...required, ...optional }
  record((item, at, key) => known[key] ? known[key](item, at) : bad(at, "is not a known field"))(value, path)
  for (const key of Object.keys(required)) if (!Object.hasOwn(value, key)) bad(`${path}.${key}`, "is missing")
}
const oneOrMore = (item) => (value, path) => (Array.isArray(value) ? list(item) : item)(value, path)

/** The field that says what a step does. */
export const kindOf = (step) => Object.keys(step).find((key) => Object.hasOwn(KINDS, key))
const aStep = (step, path) => {
  const kind = object(step, path) && kindOf(step) || bad(path, `is not a known step: ${Object.keys(step).join(", ")}`)
  fields({ [kind]: KINDS[kind], ...NEEDED[kind] }, OPTIONAL[kind])(step, path)
  if (kind === "repeat" && !step.step && !step.steps) bad(`${path}.steps`, "is missing")
}
const steps = list(aStep)
const KINDS = {
  emit: object,
  raw: string,
  rawBase64: string,
  echo: yes,
  init: object,
  text: string,
  result: object,
  error: fields({}, { status: count, type: string, message: string, category: string, apiError: string }),
  askPermission: oneOrMore(fields({ tool: string, input: object })),
  tool: (value, path) => fields({ name: string }, TOOL)(value, path),
  background: (value, path) => steps(value, path),
  request: object,
  reply: (value, path) => value === false || object(value, path),
  stderr: string,
  floodStderr: count,
  floodStdout: count,
  delay: count,
  sleepForever: yes,
  repeat: count,
  exit: count,
  kill: signal,
  grandchild: fields({}, {
    holdStdout: boolean,
    holdStderr: boolean,
    seconds: count,
    writePid: string,
    ignoreSignals: boolean
  }),
  closeStdout: yes,
  closeStdin: yes,
  ignoreStdin: yes,
  writeFile: fields({ path: string, content: string }),
  readEnv: strings,
  tell: fields({}, { env: strings, files: strings, alive: list(count) })
}
const TOOL = { input: object, ms: count, result: string, isError: boolean, steps }
const NEEDED = { readEnv: { to: string } }
const OPTIONAL = {
  text: { deltas: count, deltaDelay: count },
  request: { to: string },
  background: { ms: count },
  repeat: { steps, step: aStep }
}

const rule = (value, path) => value === "ignore" || steps(value, path)
const whole = fields({}, {
  turns: list(steps),
  match: list(fields({ prompt: string, steps })),
  start: steps,
  onEof: steps,
  onInitialize: steps,
  onControl: record(steps),
  signals: fields({}, { SIGINT: rule, SIGTERM: rule, SIGHUP: rule, SIGQUIT: rule, SIGUSR2: rule }),
  crashAfterBytes: count,
  exitOnEpipe: count,
  rejectFlags: some,
  unknownSessions: some,
  coalesce: boolean,
  echo: boolean,
  lifecycle: boolean,
  memory: string,
  version: string
})
const aScript = (value, path) => (Array.isArray(value) ? list(steps) : whole)(value, path)

const takeNumber = (counter, n = 0) =>
  attempt(
    () => closeSync(openSync(`${counter}.${n}`, "wx")) ?? n,
    ({ code }) => code === "EEXIST" ? takeNumber(counter, n + 1) : bad("script.counter", `cannot be made: ${code}`)
  )

export const loadScript = (source) => {
  if (!source) return
  const value = attempt(
    () => JSON.parse(/^\s*[{[]/.test(source) ? source : readFileSync(source, "utf8")),
    ({ message }) => die(2, `fake-claude: FAKE_CLAUDE_SCRIPT is not readable as JSON: ${message}`)
  )
  const many = value?.runs !== undefined || value?.counter !== undefined
  const check = many ? fields({ counter: string, runs: list(aScript) }) : aScript
  check(value, "script")
  if (value.runs?.length === 0) bad("script.runs", "must not be empty")
  const one = many ? value.runs[Math.min(takeNumber(value.counter), value.runs.length - 1)] : value
  Object.assign(script, Array.isArray(one) ? { turns: one } : one)
}
