// Input, and the work it gives.
import { randomUUID } from "node:crypto"
import { finished } from "node:stream"
import { respond } from "./control.mjs"
import {
  assistant,
  closeTurn,
  init,
  lifecycle,
  messageOf,
  meta,
  openBooks,
  result,
  sessionState,
  textBlock
} from "./frames.mjs"
import { forget, memory, rememberLines } from "./memory.mjs"
import { attempt, die, emit, err, quit, refuse } from "./output.mjs"
import { flags, modern, pending, prompts, queue, script, seen, state } from "./state.mjs"
import { ECHO, runSteps } from "./steps.mjs"
import * as tasks from "./tasks.mjs"
import { ABORTED, aside, CLOSED, endAborted, isClear, newTurn } from "./turn.mjs"

/** `/clear`: the conversation goes on under another id. The older version only says that there is nothing to say. */
const clear = (turn) => {
  const new_conversation_id = randomUUID()
  const [user_message_uuid] = turn.uuids
  const reset = { type: "conversation_reset", new_conversation_id, trigger: "clear", user_message_uuid }
  if (modern()) emit({ ...reset, ...meta() })
  else turn.echoes = []
  tasks.changed()
  state.session = randomUUID()
  forget()
  if (modern()) openBooks([])
  init(turn)
  if (!modern()) assistant(turn, messageOf(turn, randomUUID(), [textBlock("(no content)")], { model: "<synthetic>" }))
  const local = modern() && { local_command: "clear" }
  result(turn, { result: "", num_turns: 0, stop_reason: null, terminal_reason: undefined, ...local })
}
const stepsOf = (turn) => {
  const matched = script.match?.find(({ prompt }) => turn.prompt.includes(prompt))?.steps
  const steps = matched ?? script.turns?.[state.turns] ?? (script.echo === false ? [] : ECHO)
  if (!matched) state.turns++
  return steps
}
const runTurn = async (lines, given) => {
  const turn = state.turn = newTurn(lines, { remembered: memory.prompts, origin: given?.origin })
  const clears = !given && isClear(lines[0])
  const steps = given?.steps ?? (clears ? [] : stepsOf(turn))
  state.answered = false
  rememberLines(clears ? [] : lines)
  lifecycle(turn.uuids, "started")
  sessionState("running")
  if (clears) clear(turn)
  await runSteps(steps, turn).catch((error) => error === ABORTED ? endAborted(turn) : Promise.reject(error))
  if (turn.aborted === "SIGINT") await quit(0)
  closeTurn(turn)
  state.turn = undefined
}
/** The lines of the next turn. */
const take = () => {
  const reset = queue.findIndex(isClear)
  const all = reset < 0 ? queue.length : Math.max(1, reset)
  return queue.splice(0, script.coalesce ? all : 1)
}
const work = async () => {
  if (state.working) return
  state.working = true
  while (queue.length > 0 || tasks.own.length > 0) {
    if (queue.length > 0) await runTurn(take())
    else await runTurn([], tasks.own.shift())
  }
  state.working = false
  if (!state.eof || tasks.lives()) return
  await runSteps(script.onEof ?? [], aside())
  await quit(state.failed ? 1 : 0)
}

tasks.whenEnded(work)

const onControl = async (control) => {
  const [{ subtype }, turn] = [control.request ?? {}, aside({ control })]
  const steps = subtype === "initialize" && script.onInitialize || script.onControl?.[subtype]
  if (steps) await runSteps(steps, turn)
  if (!turn.replied) respond(control)
}
const onUser = (line) => {
  if (seen.has(line.uuid)) return
  if (line.message?.role !== "user") die(1, `Error: Expected message role 'user', got '${line.message?.role}'`)
  if (line.uuid) {
    seen.add(line.uuid)
    if (memory.uuids.has(line.uuid)) return lifecycle([line.uuid], "completed")
    sessionState("running")
    lifecycle([line.uuid], "queued")
  }
  queue.push(line)
  work()
}
/** Answers are repeated where prompts are. */
const onAnswer = (line) => {
  const asked = pending.get(line.response?.request_id)
  if (asked && flags.has("replay-user-messages")) emit(line)
  asked?.tell(line.response)
}
const badLine = (text) => `Error parsing streaming input line (type=unknown, ${text.length} chars): SyntaxError`
const onLine = (text) => {
  const line = text === "" ? undefined : attempt(() => JSON.parse(text), () => die(1, badLine(text)))
  if (line?.type === "control_request") onControl(line)
  if (line?.type === "control_response") onAnswer(line)
  if (line?.type === "user") onUser(line)
}

/** Reads stream-json from stdin. */
export const readLines = () => {
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
    work()
  }
  process.stdin.setEncoding("utf8").on("data", onData).on("end", onEnd).on("error", onEnd)
}

const readText = async () => {
  let text = ""
  const timer = setTimeout(() => {
    err.write("Warning: no stdin data received in 3s, proceeding without it\n")
    process.stdin.destroy()
  }, 3000)
  const onData = (chunk) => {
    clearTimeout(timer)
    text += chunk
  }
  await new Promise((done) => finished(process.stdin.setEncoding("utf8").on("data", onData), done))
  clearTimeout(timer)
  return text
}
/** A one-shot call: the prompt is the arguments and the text on stdin. */
export const readPrompt = async () => {
  const text = [...prompts, state.deaf ? "" : await readText()].filter((part) => part.trim() !== "").join("\n")
  refuse(text === "", "Input must be provided either through stdin or as a prompt argument when using --print")
  state.eof = true
  queue.push({ message: { content: text } })
  work()
}
