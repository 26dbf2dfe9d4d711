#!/usr/bin/env node
/*
fake-claude: a stand-in for the `claude` executable. It speaks the CLI's stream-json protocol and misbehaves by script.
Call it as `claude`: `-p --input-format=stream-json --output-format=stream-json --verbose`, or one-shot with the prompt
as argument or on stdin and text, json or stream-json output. `--flag value` is the same as `--flag=value`.

SCRIPT: JSON in env FAKE_CLAUDE_SCRIPT, inline if it starts with { or [, else a path. Without one it behaves well: a
prompt gets init, the text "echo: <prompt>" and a success result. A wrong script: exit 2, and stderr names the field.
  [[step, ...], ...]  a list of steps per prompt, in order; or an object, every field optional:
  turns               the same list. Once used up, the well-behaved turn answers, or nothing if `echo: false`
  match               [{ prompt, steps }]: a prompt containing the text `prompt` runs these steps and uses up no turn
  start, onEof        steps run before stdin is read; at stdin EOF, when the work is done
  onInitialize        steps run when `initialize` arrives, before its reply; onControl: { <subtype>: steps } for any
  signals             { SIGINT: "ignore" | steps } instead of the default (SIGINT ends turn and process with 0, SIGTERM
                      143, SIGHUP 129). From `start` on; a signal during Node's own start-up still kills
  crashAfterBytes     n: SIGKILLs itself right after byte n of stdout (0: at once)
  exitOnEpipe         code: exits when stdout's reader is gone, otherwise it goes on and writes nowhere
  rejectFlags         "unknown option", exit 1: true for every flag the CLI has not, or a list such as ["--effort"]
  unknownSessions     true or a list of ids: --resume fails as for an id without a conversation
  coalesce            true: prompts queued behind a running turn share one turn and one result, as in the real CLI
  lifecycle           false: no command_lifecycle lines for user lines with a uuid
  version             what --version and init say, by default "2.1.330"
  { counter: "path", runs: [script, ...] }  the n-th process takes the n-th script, then the last. Makes path.0 ...

STEPS
  { emit: frame }                one line, exactly this frame             { echo: true }  the well-behaved turn
  { raw: "text" } { rawBase64 }  bytes as they are, no newline            { init: { ...overrides } }  system/init
  { text: "...", deltas: 3, deltaDelay: 0 }  an assistant message; with --include-partial-messages also status and its
                                 stream events. deltaDelay: ms before each delta (an interrupt keeps what is out)
  { result: { ...overrides } }   the turn's result; with a subtype error_* it has `errors` instead of `result`
  { error: { status, type, message, category, apiError } }  synthetic assistant and is_error result of an API error
  { askPermission: { tool, input } | [...] }  tool_use, can_use_tool (a list asks all at once), waits, then tool_result
  { request: { subtype, ... }, to: "file" }   any control request to the host; waits; the answer is $ANSWER and in `to`
  { reply: { ...overrides } | false }         in onInitialize/onControl: act and reply now, or do neither
  { stderr: "text" } { floodStderr: bytes }   { floodStdout: bytes }: valid lines, exactly so many bytes (at least 200)
  { delay: ms } { sleepForever: true }        both end by interrupt and by SIGINT
  { repeat: n, step | steps }    { exit: code }          { kill: "SIGKILL" }: itself, by any signal; SIGSTOP freezes it
  { grandchild: { holdStdout, holdStderr, seconds: 60, writePid: "file", ignoreSignals } }  `sleep` in the same group
  { closeStdout: true }          the reader sees EOF, the process lives on
  { closeStdin: true }           the writer gets EPIPE; no EOF is ever seen, end with exit
  { ignoreStdin: true }          reads nothing more; in `start`: nothing at all
  { writeFile: { path, content } }            { readEnv: ["NAME"], to: "file" }: { env, argv, cwd, pid } as JSON
Strings may hold $PROMPT $SESSION $MODEL $CWD $PID $UUID (new each time) $USER_UUID (of the prompt's line) $TURN $N
(index of turn and innermost repeat) $REQUEST (request_id, in onControl) $ANSWER; $$PROMPT stays $PROMPT.
EXIT: at stdin EOF after the running work; 1 if the last result was is_error, else 0. A bad stdin line: stderr, 1.
*/
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { constants } from "node:os"
import { finished } from "node:stream/promises"
import { setImmediate as tick, setTimeout as sleep } from "node:timers/promises"

const attempt = (run, failed) => {
  try {
    return run()
  } catch (error) {
    return failed(error)
  }
}
// Output: bytes leave by writeSync, in order. A full pipe is tried again from the event loop, so signals still act.
const sink = (fd, limit, onGone) => {
  const queue = []
  let [sent, gone, waiting] = [0, false, false]
  const put = () => {
    const n = writeSync(fd, queue[0].subarray(0, limit - sent))
    if ((sent += n) === limit) process.kill(process.pid, "SIGKILL")
    if (n === queue[0].length) queue.shift()
    else queue[0] = queue[0].subarray(n)
  }
  const fail = ({ code }) => {
    waiting = code === "EAGAIN"
    gone = !waiting
    if (waiting) setTimeout(pump, 1)
    else onGone()
  }
  const pump = () => {
    for (waiting = false; queue.length > 0 && !gone && !waiting;) attempt(put, fail)
  }
  const busy = () => queue.length > 0 && !gone
  const drain = async () => {
    while (busy()) await sleep(1)
  }
  const write = (data) => data.length > 0 && !gone && queue.push(Buffer.from(data)) && !waiting && pump()
  return { write, flush: () => busy() ? drain() : undefined, close: () => gone ||= toNull(fd, "w") }
}
const toNull = (fd, mode) => closeSync(fd) ?? openSync("/dev/null", mode) >= 0 // no later file shall get the number
const err = sink(2, Infinity, () => {})
const die = (code, message) => {
  err.write(`${message}\n`)
  process.exit(code)
}

// Checks of the script: each takes a value and its path, and ends the process if the value is wrong.
const bad = (path, why) => die(2, `fake-claude: FAKE_CLAUDE_SCRIPT: ${path} ${why}`)
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value)
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
const kindOf = (step) => Object.keys(step).find((key) => Object.hasOwn(STEPS, key))
const aStep = (step, path) => {
  const kind = object(step, path) && kindOf(step) || bad(path, `is not a known step: ${Object.keys(step).join(", ")}`)
  fields({ [kind]: STEPS[kind][0], ...STEPS[kind][2] }, STEPS[kind][3])(step, path)
  if (kind === "repeat" && !step.step && !step.steps) bad(`${path}.steps`, "is missing")
}
const steps = list(aStep)
const rule = (value, path) => value === "ignore" || steps(value, path)
const rules = fields({}, { SIGINT: rule, SIGTERM: rule, SIGHUP: rule, SIGQUIT: rule, SIGUSR2: rule })
const matches = list(fields({ prompt: string, steps }))
const whats = { turns: list(steps), match: matches, start: steps, onEof: steps, onInitialize: steps, signals: rules }
const hows = { onControl: record(steps), echo: boolean, coalesce: boolean, lifecycle: boolean, version: string }
const faults = { crashAfterBytes: count, exitOnEpipe: count, rejectFlags: some, unknownSessions: some }
const aScript = (value, path) =>
  (Array.isArray(value) ? list(steps) : fields({}, { ...whats, ...hows, ...faults }))(value, path)
const takeNumber = (counter, n = 0) =>
  attempt(
    () => closeSync(openSync(`${counter}.${n}`, "wx")) ?? n,
    ({ code }) => code === "EEXIST" ? takeNumber(counter, n + 1) : bad("script.counter", `cannot be made: ${code}`)
  )
const loadScript = (source) => {
  const value = attempt(
    () => JSON.parse(/^\s*[{[]/.test(source) ? source : readFileSync(source, "utf8")),
    ({ message }) => die(2, `fake-claude: FAKE_CLAUDE_SCRIPT is not readable as JSON: ${message}`)
  )
  const many = value?.runs !== undefined || value?.counter !== undefined
  const check = many ? fields({ counter: string, runs: list(aScript) }) : aScript
  check(value, "script")
  if (value.runs?.length === 0) bad("script.runs", "must not be empty")
  const one = many ? value.runs[Math.min(takeNumber(value.counter), value.runs.length - 1)] : value
  return Array.isArray(one) ? { turns: one } : one
}

// The command line. The flags the CLI has: `=` takes a value, `*` takes several, `?` may take one.
const FLAGS =
  `print verbose version help continue bare ide chrome no-chrome init maintenance fork-session include-partial-messages
  include-hook-events replay-user-messages dangerously-skip-permissions allow-dangerously-skip-permissions
  strict-mcp-config no-session-persistence disable-slash-commands await-initialize model= fallback-model= name=
  system-prompt= append-system-prompt= system-prompt-file= append-system-prompt-file= permission-mode= max-turns=
  max-budget-usd= permission-prompt-tool= max-thinking-tokens= settings= setting-sources= agent= agents= session-id=
  json-schema= input-format= output-format= effort= debug-file= plugin-dir= resume-session-at= thinking= resume? debug?
  worktree? from-pr? tools* allowedTools* allowed-tools* disallowedTools* disallowed-tools* mcp-config* add-dir* betas*`
const arity = new Map(FLAGS.split(/\s+/).map((flag) => [flag.replace(/\W$/, ""), /\w$/.test(flag) ? "" : flag.at(-1)]))
const SHORT = { p: "print", r: "resume", c: "continue", d: "debug", v: "version", h: "help", n: "name", w: "worktree" }
const [flags, prompts] = [new Map(), []]
const readArgs = (argv) => {
  for (let i = 0; i < argv.length; i++) {
    const [token, dashes, given, value] = /^(--?)([^=]+)(?:=([^]*))?$/.exec(argv[i]) ?? []
    const [name, bare] = [dashes === "-" ? SHORT[given] ?? given : given, () => /^([^-]|-?$)/.test(argv[i + 1] ?? "--")]
    if (argv[i] === "--") return prompts.push(...argv.slice(i + 1))
    const rejected = script.rejectFlags === true ? token && !arity.has(name) : script.rejectFlags?.includes(`--${name}`)
    if (rejected) die(1, `error: unknown option '${dashes}${given}'`)
    const takes = value === undefined ? arity.get(name) : ""
    if (token === undefined) prompts.push(argv[i])
    else flags.set(name, takes === "=" || takes === "?" && bare() ? argv[++i] ?? "" : value ?? true)
    while (takes === "*" && bare()) i++
  }
}

// Frames.
const state = { model: "claude-opus-5-5", ids: 0, results: 0, turns: 0, ticks: 0, billed: 0 }
const [queue, seen, pending, collected, ledger] = [[], new Set(), new Map(), [], []]
const escape = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
const lineOf = (frame) => `${JSON.stringify(frame).replace(/[\u007f-\u009f\u2028\u2029]/g, escape)}\n`
const emit = (frame) => {
  const ended = { results: state.results + 1, failed: frame.is_error === true, answered: true }
  if (frame.type === "result") Object.assign(state, ended)
  return flags.get("output-format") === "stream-json" ? out.write(lineOf(frame)) : collected.push(frame)
}
const meta = () => ({ session_id: state.session, uuid: randomUUID() })
const stamp = () => ({ parent_tool_use_id: null, ...meta(), timestamp: new Date().toISOString() })
const system = (subtype, more) => emit({ type: "system", subtype, ...more, ...meta() })
const lifecycle = (uuids, to) =>
  script.lifecycle !== false
  && uuids.forEach((uuid) => emit({ type: "command_lifecycle", command_uuid: uuid, state: to, ...meta() }))
const tokens = (input, output) => {
  const cached = { cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
  return { input_tokens: input, ...cached, output_tokens: output }
}
const uuidsOf = ({ uuids }) => uuids.length > 0 && { user_message_uuid: uuids.at(-1), user_message_uuids: uuids }
const init = (turn, more) => {
  const [cwd, tools] = [process.cwd(), ["Task", "Bash", "Edit", "Read", "Write"]]
  const settings = {
    model: state.model,
    permissionMode: state.mode,
    claude_code_version: version,
    output_style: "default"
  }
  const has = {
    slash_commands: ["clear", "compact"],
    agents: ["general-purpose"],
    skills: [],
    plugins: [],
    mcp_servers: []
  }
  const can = { apiKeySource: "none", capabilities: ["interrupt_receipt_v1", "msg_lifecycle_v1"] }
  const { user_message_uuids } = uuidsOf(turn)
  system("init", { cwd, original_cwd: cwd, tools, ...settings, ...has, ...can, user_message_uuids, ...more })
}
const inputOf = (turn) => 20 + Math.ceil(turn.prompt.length / 4)
const messageOf = (turn, id, content, more) => {
  const fixed = { type: "message", role: "assistant", stop_reason: null, stop_sequence: null }
  return { id, ...fixed, model: state.model, content: [content].flat(), usage: tokens(inputOf(turn), 1), ...more }
}
const assistant = (turn, message, more) =>
  emit({ type: "assistant", message, ...stamp(), request_id: `req_fake_${++state.ids}`, ...uuidsOf(turn), ...more })
const user = (content, more) => emit({ type: "user", message: { role: "user", content }, ...stamp(), ...more })
const spend = (turn, said) => {
  const rate = (state.model.includes("haiku") ? 0.1 : state.model.includes("sonnet") ? 2 : 4) / 1e6
  const [input, output] = [inputOf(turn), Math.ceil(said.length / 4) || 1]
  ledger.push({ model: state.model, input, output, cost: (input + 5 * output) * rate })
  return output
}
const total = (entries, key) => entries.reduce((sum, entry) => sum + entry[key], 0)
const usageByModel = (entries) =>
  Object.fromEntries([...new Set(entries.map(({ model }) => model))].map((model) => {
    const own = entries.filter((entry) => entry.model === model)
    const others = { cacheReadInputTokens: 0, cacheCreationInputTokens: 0, webSearchRequests: 0, contextWindow: 1e6 }
    const [inputTokens, outputTokens, costUSD] = ["input", "output", "cost"].map((key) => total(own, key))
    return [model, { inputTokens, outputTokens, ...others, costUSD }]
  }))
const say = async (turn, { text, deltas = 3, deltaDelay = 0 }) => {
  const [id, partial, chars] = [`msg_fake_${++state.ids}`, flags.has("include-partial-messages"), Array.from(text)]
  const event = (type, more, api) => {
    const around = { parent_tool_use_id: null, ...meta(), ...api, api_message_id: id }
    if (partial) emit({ type: "stream_event", event: { type, ...more }, ...around })
  }
  const close = (stop_reason, output_tokens, api) => {
    event("content_block_stop", { index: 0 })
    event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } })
    event("message_stop", {}, api)
  }
  if (partial) system("status", { status: "requesting" })
  event("message_start", { message: messageOf(turn, id, []) }, { ttft_ms: 1, ...uuidsOf(turn) })
  event("content_block_start", { index: 0, content_block: { type: "text", text: "" } })
  turn.open = { id, text: "", close }
  for (let at = 0, size = Math.ceil(chars.length / (deltas || 1)); at < chars.length && deltas > 0; at += size) {
    if (deltaDelay > 0) await race(turn, sleep(deltaDelay))
    const piece = chars.slice(at, at + size).join("")
    event("content_block_delta", { index: 0, delta: { type: "text_delta", text: piece } })
    turn.open.text += piece
    await race(turn, out.flush())
  }
  assistant(turn, messageOf(turn, id, { type: "text", text }))
  close("end_turn", spend(turn, text))
  Object.assign(turn, { open: undefined, text })
}
const result = (turn, more) => {
  const { subtype = "success", is_error = subtype !== "success" } = more
  const recent = ledger.slice(state.billed, state.billed = ledger.length)
  const usage = tokens(total(recent, "input"), total(recent, "output"))
  const cost = { total_cost_usd: total(ledger, "cost"), usage, modelUsage: usageByModel(ledger) }
  const times = { duration_api_ms: ledger.length, duration_ms: Date.now() - turn.began, ttft_ms: 1 }
  const ending = { stop_reason: "end_turn", terminal_reason: "completed", permission_denials: turn.denials }
  const said = subtype === "success" ? { api_error_status: null, result: turn.text } : { errors: [] }
  const counts = { num_turns: 1 + turn.users, queued_turn_count: 0, result_index: state.results }
  const since = { model_usage_since_last_result: usageByModel(recent), ...uuidsOf(turn) }
  emit({
    ...times,
    ...meta(),
    ...cost,
    ...ending,
    is_error,
    subtype,
    ...said,
    type: "result",
    ...counts,
    ...since,
    ...more
  })
}
const LOGIN = "authentication_failed"
const CATEGORY = { 400: "invalid_request", 401: LOGIN, 403: LOGIN, 404: "model_not_found", 429: "rate_limit" }
const apiError = (turn, { status, type, message = "failed", category, apiError }) => {
  const text = apiError && status ? message : `API Error: ${status ? `${status} ` : ""}${message}`
  const http = status ? { api_error_status: status, api_error_type: type } : {}
  const facts = { ...http, ...(apiError && { api_error: apiError }) }
  const said = { model: "<synthetic>", stop_reason: "stop_sequence", stop_sequence: "", usage: tokens(0, 0) }
  const why = { error: category ?? CATEGORY[status] ?? "server_error", is_api_error_message: true, ...facts }
  assistant(turn, messageOf(turn, randomUUID(), { type: "text", text }, said), why)
  result(turn, { is_error: true, result: text, stop_reason: "stop_sequence", terminal_reason: "api_error", ...facts })
}

// Turns, and how they are stopped.
const ABORTED = Symbol("aborted")
const promptOf = ({ message: { content } }) =>
  typeof content === "string" ? content : (content ?? []).map((block) => block?.text ?? "").join("\n")
const newTurn = (lines, more) => {
  const [prompt, uuids] = [lines.map(promptOf).join("\n\n"), lines.flatMap((line) => line.uuid ?? [])]
  const done = { text: "", users: 0, denials: [], tools: new Map() }
  const turn = { prompt, uuids, lines, began: Date.now(), index: state.turns, n: 0, ...done, ...more }
  turn.stopped = new Promise((_, reject) => Object.assign(turn, { stop: () => reject(ABORTED) }))
  turn.stopped.catch(() => {})
  return turn
}
const aside = (more) => newTurn(state.turn?.lines ?? [], more)
const race = (turn, promise) => promise && Promise.race([promise, turn.stopped])
const abort = (turn, how) => {
  for (const [id, asked] of pending) if (asked.turn === turn) emit({ type: "control_cancel_request", request_id: id })
  Object.assign(turn, { aborted: how }).stop()
}
const toolResult = (turn, id, content, is_error) => {
  if (is_error) turn.denials.push(turn.tools.get(id))
  turn.tools.delete(id)
  turn.users++
  user([{ type: "tool_result", content, is_error, tool_use_id: id }], { tool_use_result: content })
}
const endAborted = (turn) => {
  const { open, tools, aborted } = turn
  const [inTool, silent] = [tools.size > 0 || aborted === "deny", aborted === "SIGINT" && tools.size > 0]
  if (open?.text) assistant(turn, messageOf(turn, open.id, { type: "text", text: open.text }), { aborted: true })
  for (const id of tools.keys()) toolResult(turn, id, "Interrupted before it ran", true)
  if (!state.answered) user([{ type: "text", text: `[Request interrupted by user${inTool ? " for tool use" : ""}]` }])
  open?.close(null, 1, { abandoned_blocks: { api_message_id: open.id, from_block_index: 1 } })
  const [stop_reason, terminal_reason] = inTool ? ["tool_use", "aborted_tools"] : [null, "aborted_streaming"]
  const errors = [`[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=${stop_reason}`]
  const why = { subtype: "error_during_execution", errors, stop_reason, terminal_reason, num_turns: 2 + turn.users }
  if (!state.answered && !silent) result(turn, why)
}
const CLOSED = { subtype: "error", error: "Tool permission stream closed before response received" }
const ask = async (turn, request, id = randomUUID()) => {
  emit({ type: "control_request", request_id: id, request })
  const answered = new Promise((tell) => state.eof ? tell(CLOSED) : pending.set(id, { tell, turn }))
  return race(turn, answered).finally(() => pending.delete(id))
}
const askPermission = async (turn, { tool, input }) => {
  const [id, tool_name] = [`toolu_fake_${++state.ids}`, tool]
  turn.tools.set(id, { tool_name, tool_use_id: id, tool_input: input })
  assistant(turn, messageOf(turn, `msg_fake_${state.ids}`, { type: "tool_use", id, name: tool, input }))
  spend(turn, JSON.stringify(input))
  const asked = { tool_name, display_name: tool, input, permission_suggestions: [], tool_use_id: id }
  const { response, error } = await ask(turn, { subtype: "can_use_tool", ...asked })
  const { behavior, updatedInput = input, message = "denied", interrupt } = response ?? { message: error }
  const allowed = behavior === "allow"
  toolResult(turn, id, allowed ? `allowed: ${JSON.stringify(updatedInput)}` : message, !allowed)
  if (!allowed && interrupt === true) abort(turn, "deny")
}

// Steps. Each kind has: the check of its value, what it does, the checks of its other fields (required, optional).
const flood = (bytes, write) => {
  for (let left = bytes, n = 0; left > 0; left -= n) write(n = left < 2048 ? left : 1024)
}
const filler = (content) => lineOf({ type: "system", subtype: "informational", content, level: "info", ...meta() })
const writeFiller = (bytes) => out.write(filler("x".repeat(Math.max(0, bytes - filler("").length))))
const writeJson = (path, value) => writeFileSync(path, JSON.stringify(value))
const permission = fields({ tool: string, input: object })
const permissions = (value, path) => (Array.isArray(value) ? list(permission) : permission)(value, path)
const held = { holdStdout: boolean, holdStderr: boolean, seconds: count, writePid: string, ignoreSignals: boolean }
const grandchild = ({ holdStdout, holdStderr, seconds = 60, writePid, ignoreSignals }) => {
  const command = `${ignoreSignals ? "trap '' INT TERM HUP; " : ""}exec sleep ${seconds}`
  const stdio = ["ignore", holdStdout ? 1 : "ignore", holdStderr ? 2 : "ignore"]
  const { pid } = spawn("/bin/sh", ["-c", command], { stdio })
  if (writePid) writeFileSync(writePid, `${pid}`)
}
const ECHO = [{ init: {} }, { text: "echo: $PROMPT" }, { result: {} }]
const STEPS = {
  emit: [object, (step) => emit(step.emit)],
  raw: [string, (step) => out.write(step.raw)],
  rawBase64: [string, (step) => out.write(Buffer.from(step.rawBase64, "base64"))],
  echo: [yes, (_, turn) => runSteps(ECHO, turn)],
  init: [object, (step, turn) => init(turn, step.init)],
  text: [string, (step, turn) => say(turn, step), {}, { deltas: count, deltaDelay: count }],
  result: [object, (step, turn) => result(turn, step.result)],
  error: [
    fields({}, { status: count, type: string, message: string, category: string, apiError: string }),
    (step, turn) => apiError(turn, step.error)
  ],
  askPermission: [
    permissions,
    (step, turn) => Promise.all([step.askPermission].flat().map((one) => askPermission(turn, one)))
  ],
  request: [
    object,
    async (step, turn) => {
      turn.answer = await ask(turn, step.request)
      if (step.to) writeJson(step.to, turn.answer)
    },
    {},
    { to: string }
  ],
  reply: [(value, path) => value === false || object(value, path), (step, turn) => {
    turn.replied = true
    if (step.reply) respond(turn.control, step.reply)
  }],
  stderr: [string, (step) => err.write(step.stderr)],
  floodStderr: [count, (step) => flood(step.floodStderr, (n) => err.write(`${"e".repeat(n - 1)}\n`))],
  floodStdout: [count, (step) => flood(step.floodStdout, writeFiller)],
  delay: [count, (step, turn) => race(turn, sleep(step.delay))],
  sleepForever: [yes, (_, turn) => race(turn, new Promise(() => {}))],
  repeat: [
    count,
    async (step, turn) => {
      for (let n = 0; n < step.repeat; n++) await runSteps(step.steps ?? [step.step], Object.assign(turn, { n }))
    },
    {},
    { steps, step: aStep }
  ],
  exit: [count, (step) => quit(step.exit)],
  kill: [signal, (step) => {
    process.removeAllListeners(step.kill)
    process.kill(process.pid, step.kill)
  }],
  grandchild: [fields({}, held), (step) => grandchild(step.grandchild)],
  closeStdout: [yes, () => out.close()],
  closeStdin: [yes, () => {
    if (state.reading) process.stdin.destroy()
    state.deaf = toNull(0, "r")
  }],
  ignoreStdin: [yes, () => {
    if (state.reading) process.stdin.pause()
    state.deaf = true
  }],
  writeFile: [
    fields({ path: string, content: string }),
    ({ writeFile: { path, content } }) => writeFileSync(path, content)
  ],
  readEnv: [strings, ({ readEnv, to }) => {
    const env = Object.fromEntries(readEnv.map((name) => [name, process.env[name] ?? null]))
    writeJson(to, { env, argv: process.argv.slice(2), cwd: process.cwd(), pid: process.pid })
  }, { to: string }]
}
const VALUES = {
  PROMPT: (turn) => turn.prompt,
  SESSION: () => state.session,
  MODEL: () => state.model,
  CWD: () => process.cwd(),
  PID: () => process.pid,
  UUID: () => randomUUID(),
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
const runSteps = async (list, turn) => {
  for (const step of list) {
    const kind = kindOf(step)
    await STEPS[kind][1](kind === "repeat" ? step : fill(step, turn), turn)
    await race(turn, out.flush() ?? err.flush())
    if (turn.aborted) throw ABORTED
    if (++state.ticks % 64 === 0) await tick()
  }
}

// Control requests: each gives the response, or [error_code, error].
const MODES = ["acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"]
const models = {
  default: "claude-opus-5-5",
  opus: "claude-opus-5-5",
  sonnet: "claude-sonnet-5-5",
  haiku: "claude-haiku-5-5"
}
const modelOf = (name) => Object.hasOwn(models, name) ? models[name] : name
const CONTROLS = {
  initialize: () => {
    const commands = [{ name: "compact", description: "Shorten the conversation", argumentHint: "" }]
    const agents = [{ name: "general-purpose", description: "Any task" }]
    const choices = Object.keys(models).map((value) => ({ value, resolvedModel: models[value], displayName: value }))
    const styles = { output_style: "default", available_output_styles: ["default"] }
    const account = { tokenSource: "none", apiKeySource: "none", apiProvider: "firstParty" }
    const now = { current_permission_mode: state.mode, session_state: state.turn ? "running" : "idle" }
    return {
      commands,
      agents,
      ...styles,
      models: choices,
      account,
      pid: process.pid,
      claude_code_version: version,
      ...now
    }
  },
  interrupt: () => {
    if (state.turn) abort(state.turn, "interrupt")
    return { still_queued: queue.flatMap((line) => line.uuid ?? []) }
  },
  set_model: ({ model }) => {
    if (typeof (model ?? "") !== "string") return ["invalid_request", "set_model: model must be a string"]
    state.model = modelOf(model ?? "default")
    const said = `<local-command-stdout>Set model to \`${state.model}\`</local-command-stdout>`
    if (state.results > 0) user(said, { isReplay: true })
    return { model: state.model }
  },
  set_permission_mode: ({ mode }) => {
    const refused = `Cannot set permission mode to ${mode}: not launched with --dangerously-skip-permissions`
    if (!MODES.includes(mode)) return ["invalid_mode", `Cannot set permission mode: must be one of ${MODES.join(", ")}`]
    if (mode === "bypassPermissions" && !mayBypass) return ["bypass_not_launched", refused]
    state.mode = mode
    return { mode }
  },
  mcp_status: () => ({ mcpServers: [] }),
  get_context_usage: () => ({ categories: [], totalTokens: 2e4, maxTokens: 1e6, rawMaxTokens: 1e6, percentage: 2 }),
  end_session: () => undefined
}
const AFTERWARDS = {
  set_permission_mode: () => system("status", { status: null, permissionMode: state.mode }),
  end_session: () => quit(0)
}
const respond = ({ request_id, request: { subtype, ...request } = {} }, more) => {
  const unsupported = () => ["unsupported_request", `Unsupported control request subtype: ${subtype}`]
  const given = (Object.hasOwn(CONTROLS, subtype) ? CONTROLS[subtype] : unsupported)(request)
  const [error_code, error] = Array.isArray(given) ? given : []
  const response = isObject(given) ? { ...given, ...more } : undefined
  const answer = error
    ? { subtype: "error", request_id, error, error_code }
    : { subtype: "success", request_id, response }
  emit({ type: "control_response", response: answer })
  if (!error) AFTERWARDS[subtype]?.()
}
const onControl = async (control) => {
  const [{ subtype }, turn] = [control.request ?? {}, aside({ control })]
  const steps = subtype === "initialize" && script.onInitialize || script.onControl?.[subtype]
  if (steps) await runSteps(steps, turn)
  if (!turn.replied) respond(control)
}

// Input, and the work it gives.
const badLine = (text) => `Error parsing streaming input line (type=unknown, ${text.length} chars): SyntaxError`
const onLine = (text) => {
  const line = text === "" ? undefined : attempt(() => JSON.parse(text), () => die(1, badLine(text)))
  if (line?.type === "control_request") onControl(line)
  if (line?.type === "control_response") pending.get(line.response?.request_id)?.tell(line.response)
  if (line?.type !== "user" || seen.has(line.uuid)) return
  if (line.message?.role !== "user") die(1, `Error: Expected message role 'user', got '${line.message?.role}'`)
  if (line.uuid) {
    seen.add(line.uuid)
    lifecycle([line.uuid], "queued")
  }
  queue.push(line)
  if (!state.working) work()
}
const runTurn = async (lines) => {
  const turn = state.turn = newTurn(lines)
  const matched = script.match?.find(({ prompt }) => turn.prompt.includes(prompt))?.steps
  const steps = matched ?? script.turns?.[state.turns] ?? (script.echo === false ? [] : ECHO)
  if (!matched) state.turns++
  state.answered = false
  lifecycle(turn.uuids, "started")
  await runSteps(steps, turn).catch((error) => error === ABORTED ? endAborted(turn) : Promise.reject(error))
  if (turn.aborted === "SIGINT") await quit(0)
  lifecycle(turn.uuids, turn.aborted ? "cancelled" : "completed")
  state.turn = undefined
}
const work = async () => {
  for (state.working = true; queue.length > 0;) await runTurn(queue.splice(0, script.coalesce ? queue.length : 1))
  state.working = false
  if (!state.eof) return
  await runSteps(script.onEof ?? [], aside())
  await quit(state.failed ? 1 : 0)
}
const quit = async (code) => {
  const last = collected.findLast(({ type }) => type === "result")
  if (last && format === "text") out.write(`${last.result ?? last.errors?.join("\n")}\n`)
  if (last && format === "json") out.write(lineOf(flags.has("verbose") ? collected : last))
  await out.flush()
  await err.flush()
  process.exit(code)
}
const readLines = () => {
  let rest = ""
  const onData = (chunk) => {
    const lines = chunk.split("\n")
    lines[0] = rest + lines[0]
    rest = lines.pop()
    for (const line of lines) if (!state.deaf) onLine(line.trim())
  }
  const onEnd = () => {
    if (state.deaf || state.eof) return
    state.eof = true
    onLine(rest.trim())
    for (const { tell } of pending.values()) tell(CLOSED)
    if (!state.working) work()
  }
  process.stdin.setEncoding("utf8").on("data", onData).on("end", onEnd).on("error", onEnd)
}
const readPrompt = async () => {
  let text = ""
  const timer = setTimeout(() => {
    err.write("Warning: no stdin data received in 3s, proceeding without it\n")
    process.stdin.destroy()
  }, 3000)
  const onData = (chunk) => {
    clearTimeout(timer)
    text += chunk
  }
  await finished(process.stdin.setEncoding("utf8").on("data", onData)).catch(() => {})
  clearTimeout(timer)
  return text
}

// Start.
void [process.stdout, process.stderr] // their creation makes a pipe non-blocking; Node restores that at exit
setInterval(() => {}, 2 ** 30)
for (const kind of ["uncaughtException", "unhandledRejection"]) {
  process.on(kind, (error) => error === ABORTED || die(2, `fake-claude: ${error?.stack ?? error}`))
}
const { FAKE_CLAUDE_SCRIPT: source } = process.env
const script = source ? loadScript(source) : {}
const { crashAfterBytes = Infinity, exitOnEpipe, unknownSessions, version = "2.1.330" } = script
const out = sink(1, crashAfterBytes, () => exitOnEpipe !== undefined && process.exit(exitOnEpipe))
readArgs(process.argv.slice(2))
const [format, input] = [flags.get("output-format") ?? "text", flags.get("input-format")]
const [sessionId, resume] = [flags.get("session-id"), flags.get("resume")]
const skips = ["dangerously-skip-permissions", "allow-dangerously-skip-permissions"]
const mayBypass = skips.some((name) => flags.has(name)) || flags.get("permission-mode") === "bypassPermissions"
state.model = modelOf(flags.get("model") ?? "default")
state.mode = flags.has(skips[0]) ? "bypassPermissions" : flags.get("permission-mode") ?? "default"
state.session = sessionId ?? (typeof resume === "string" && !flags.has("fork-session") ? resume : randomUUID())
const onSignals = {
  SIGINT: () => state.turn ? abort(state.turn, "SIGINT") : quit(0),
  SIGTERM: () => process.exit(143),
  SIGHUP: () => process.exit(129)
}
for (const [name, rule] of Object.entries({ ...onSignals, ...script.signals })) {
  process.on(name, typeof rule === "function" ? rule : () => rule === "ignore" || runSteps(rule, aside()))
}
const refuse = (when, why) => when && die(1, `Error: ${why}`)
if (crashAfterBytes === 0) process.kill(process.pid, "SIGKILL")
if (flags.has("version")) {
  out.write(`${version} (fake-claude)\n`)
  await quit(0)
}
refuse(input === "stream-json" && format !== input, "--input-format=stream-json requires output-format=stream-json.")
refuse(
  format === "stream-json" && !flags.has("verbose"),
  "When using --print, --output-format=stream-json requires --verbose"
)
refuse(
  sessionId !== undefined && !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(sessionId),
  "Invalid session ID. Must be a valid UUID."
)
refuse(sessionId && resume && !flags.has("fork-session"), "--session-id with --resume also needs --fork-session.")
await runSteps(script.start ?? [], aside())
if (resume && (unknownSessions === true || unknownSessions?.includes(resume))) {
  const why = `No conversation found with session ID: ${resume}`
  err.write(`${why}\n`)
  result(aside(), { subtype: "error_during_execution", errors: [why], num_turns: 0, session_id: resume })
  await quit(1)
}
state.reading = !state.deaf
if (input === "stream-json") state.deaf || readLines()
else {
  const text = [...prompts, state.deaf ? "" : await readPrompt()].filter((part) => part.trim() !== "").join("\n")
  refuse(text === "", "Input must be provided either through stdin or as a prompt argument when using --print")
  state.eof = true
  queue.push({ message: { content: text } })
  work()
}
