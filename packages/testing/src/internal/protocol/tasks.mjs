/** @import { Dialogue } from "./dialogue.mjs" */
/** @import { Fields } from "./types.js" */

/**
 * The background work of a process, and how its life is told. When it ends, the CLI tells its model in a turn of its own.
 * @template Steps What such a turn is made of.
 */
export class Tasks {
  /** Turns that begin without a prompt. @type {Array<{ readonly steps: Steps, readonly origin?: Fields }>} */
  own = []
  /** The tools that started them, by id. @type {Map<string, string | undefined>} */
  #live = new Map()
  #doomed = false

  /** @param {Dialogue<Steps>} dialogue */
  constructor(dialogue) {
    this.dialogue = dialogue
  }

  get size() {
    return this.#live.size
  }

  begin() {
    const id = this.dialogue.newId("task")
    const tool_use_id = [...this.dialogue.turn?.tools.keys() ?? []].at(-1)
    this.#live.set(id, tool_use_id)
    this.changed()
    const work = { task_id: id, tool_use_id, description: id, is_backgrounded: true, task_type: "local_bash" }
    this.dialogue.system("task_started", work)
    return id
  }

  /** It has ended: the steps are next, unless it had been stopped. @param {string} id @param {Steps} steps */
  finish(id, steps) {
    if (!this.end(id, "completed")) return false
    const producer = this.dialogue.session.modern && { producer: "session-task" }
    this.own.push({ steps, origin: { kind: "task-notification", ...producer } })
    return true
  }

  /** `false` when there is no such work, or no longer. @param {string} id @param {"completed" | "killed"} status */
  end(id, status) {
    const tool_use_id = this.#live.get(id)
    if (!this.#live.delete(id)) return false
    this.dialogue.system("task_updated", { task_id: id, patch: { status } })
    this.dialogue.system("task_notification", {
      task_id: id,
      tool_use_id,
      status: status === "killed" ? "stopped" : status,
      output_file: `/home/user/tmp/${id}.output`,
      summary: `Background command "${id}" ${status}`
    })
    this.changed()
    return true
  }

  /** The CLI does this when it is interrupted and no turn runs: the work ends with the input. */
  doom() {
    this.#doomed = true
  }

  /** The input has ended. */
  close() {
    if (this.#doomed) { for (const id of [...this.#live.keys()]) this.end(id, "killed") }
  }

  /** Lists what is left. */
  changed() {
    if (!this.dialogue.session.modern) return
    const tasks = Array.from(this.#live.keys(), (id) => ({ task_id: id, task_type: "local_bash", description: id }))
    this.dialogue.system("background_tasks_changed", { tasks })
  }
}
