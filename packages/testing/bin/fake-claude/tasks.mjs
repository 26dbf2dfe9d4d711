// Background work: its life, and the turn of the CLI's own that follows its end.
import { system } from "./frames.mjs"
import { modern, state } from "./state.mjs"

const live = new Map()
/** Turns that begin without a prompt: their steps and where they come from. */
export const own = []

/** Lists what is left. */
export const changed = () => {
  const tasks = Array.from(live.keys(), (task_id) => ({ task_id, task_type: "local_bash", description: task_id }))
  if (modern()) system("background_tasks_changed", { tasks })
}
export const end = (task_id, status) => {
  if (!live.has(task_id)) return false
  const { timer, tool_use_id } = live.get(task_id)
  clearTimeout(timer)
  live.delete(task_id)
  system("task_updated", { task_id, patch: { status, end_time: Date.now() } })
  const told = { status: status === "killed" ? "stopped" : status, output_file: "", summary: `${task_id} ${status}` }
  system("task_notification", { task_id, tool_use_id, ...told })
  changed()
  return true
}

let wake = () => {}
/** Is called when there is a turn of the CLI's own. */
export const whenEnded = (run) => wake = run

/** Starts work that ends after `ms`; then the steps are a turn of the CLI's own. */
export const begin = (turn, { background, ms = 0 }) => {
  const [task_id, tool_use_id] = [`task_${++state.ids}`, [...turn.tools.keys()].at(-1)]
  const finish = () => {
    end(task_id, "completed")
    own.push({ steps: background, origin: { kind: "task-notification", ...modern() && { producer: "session-task" } } })
    wake()
  }
  live.set(task_id, { tool_use_id, timer: setTimeout(finish, ms) })
  changed()
  system("task_started", { task_id, tool_use_id, description: task_id, is_backgrounded: true, task_type: "local_bash" })
}

/** Whether work keeps the process; an interrupt without a turn dooms it to end with the input. */
export const lives = () => {
  if (state.eof && state.doomed) { for (const id of [...live.keys()]) end(id, "killed") }
  return live.size > 0
}
