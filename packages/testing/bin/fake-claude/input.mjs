// Input, and the work it gives.
import { finished } from "node:stream"
import { respond } from "./control.mjs"
import { lifecycle } from "./frames.mjs"
import { attempt, die, err, quit, refuse } from "./output.mjs"
import { pending, prompts, queue, script, state } from "./state.mjs"
import { ECHO, runSteps } from "./steps.mjs"
import { ABORTED, aside, CLOSED, endAborted, newTurn } from "./turn.mjs"

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
  if (state.working) return
  for (state.working = true; queue.length > 0;) await runTurn(queue.splice(0, script.coalesce ? queue.length : 1))
  state.working = false
  if (!state.eof) return
  await runSteps(script.onEof ?? [], aside())
  await quit(state.failed ? 1 : 0)
}

const onControl = async (control) => {
  const [{ subtype }, turn] = [control.request ?? {}, aside({ control })]
  const steps = subtype === "initialize" && script.onInitialize || script.onControl?.[subtype]
  if (steps) await runSteps(steps, turn)
  if (!turn.replied) respond(control)
}
const seen = new Set()
const onUser = (line) => {
  if (seen.has(line.uuid)) return
  if (line.message?.role !== "user") die(1, `Error: Expected message role 'user', got '${line.message?.role}'`)
  if (line.uuid) {
    seen.add(line.uuid)
    lifecycle([line.uuid], "queued")
  }
  queue.push(line)
  work()
}
const badLine = (text) => `Error parsing streaming input line (type=unknown, ${text.length} chars): SyntaxError`
const onLine = (text) => {
  const line = text === "" ? undefined : attempt(() => JSON.parse(text), () => die(1, badLine(text)))
  if (line?.type === "control_request") onControl(line)
  if (line?.type === "control_response") pending.get(line.response?.request_id)?.tell(line.response)
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
