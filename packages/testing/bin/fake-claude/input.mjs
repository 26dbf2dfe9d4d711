// Input, and the work it gives.
import { finished } from "node:stream"
import { isRefused, reply, respond as answerTo } from "../../src/internal/protocol/controls.mjs"
import { isClear, isObject, promptOf } from "../../src/internal/protocol/turn.mjs"
import { attempt, die, err, quit, refuse } from "./output.mjs"
import { dialogue, memory } from "./session.mjs"
import { prompts, script, state } from "./state.mjs"
import { ECHO, runSteps } from "./steps.mjs"
import { ABORTED, aside, ScriptTurn } from "./turn.mjs"

const stepsOf = (turn) => {
  const matched = script.match?.find(({ prompt }) => promptOf(turn.lines).includes(prompt))?.steps
  const steps = matched ?? script.turns?.[state.turns] ?? (script.echo === false ? [] : ECHO)
  if (!matched) state.turns++
  return steps
}
const runTurn = async (lines, own) => {
  const turn = new ScriptTurn(lines, { remembered: memory.prompts, origin: own?.origin })
  const clears = lines.some(isClear)
  const steps = own?.steps ?? (clears ? [] : stepsOf(turn))
  state.began = Date.now()
  dialogue.begin(turn)
  if (clears) dialogue.clear()
  await runSteps(steps, turn).catch((error) => error === ABORTED || Promise.reject(error))
  dialogue.end(turn)
  if (turn.cut === "SIGINT") await quit(0)
}
export const work = async () => {
  if (state.working) return
  state.working = true
  while (dialogue.waiting.length > 0 || dialogue.tasks.own.length > 0) {
    if (dialogue.waiting.length > 0) await runTurn(dialogue.take(script.coalesce ? Infinity : 1))
    else await runTurn([], dialogue.tasks.own.shift())
  }
  state.working = false
  if (!state.eof || dialogue.tasks.size > 0) return
  await runSteps(script.onEof ?? [], aside())
  await quit(dialogue.failed ? 1 : 0)
}

/** Does what the control request asks and answers it, with `more` in the response. */
export const respond = ({ request_id, request = {} }, more) => {
  const answer = answerTo(dialogue, request)
  reply(dialogue, request_id, isObject(answer) ? { ...answer, ...more } : answer)
  if (isRefused(answer)) return
  if (request.subtype === "interrupt") dialogue.turn?.stop("interrupt")
  if (request.subtype === "set_permission_mode") dialogue.tellMode()
  if (request.subtype === "end_session") quit(0)
}
const onControl = async (control) => {
  const [{ subtype }, turn] = [control.request ?? {}, aside({ control })]
  const steps = subtype === "initialize" && script.onInitialize || script.onControl?.[subtype]
  if (steps) await runSteps(steps, turn)
  if (!turn.replied) respond(control)
}
const onUser = ({ message, uuid }) => {
  if (message?.role !== "user") die(1, `Error: Expected message role 'user', got '${message?.role}'`)
  if (dialogue.hear({ uuid, content: message.content })) work()
}
const badLine = (text) => `Error parsing streaming input line (type=unknown, ${text.length} chars): SyntaxError`
const onLine = (text) => {
  const line = text === "" ? undefined : attempt(() => JSON.parse(text), () => die(1, badLine(text)))
  if (line?.type === "control_request") onControl(line)
  if (line?.type === "control_response") dialogue.questions.answer(line)
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
    dialogue.questions.close()
    dialogue.tasks.close()
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
  dialogue.questions.close()
  dialogue.waiting.push({ content: text })
  work()
}
