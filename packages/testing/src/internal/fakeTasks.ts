import type { FakeDialogue } from "./fakeDialogue.js"

/**
 * The background work of a fake process, and how its life is told.
 *
 * @internal
 */
export class FakeTasks {
  private readonly dialogue: FakeDialogue
  private readonly live = new Map<string, string | undefined>()
  private doomed = false

  constructor(dialogue: FakeDialogue) {
    this.dialogue = dialogue
  }

  get size(): number {
    return this.live.size
  }

  begin(): string {
    const id = this.dialogue.newId("task")
    const tool = [...this.dialogue.turn?.tools.keys() ?? []].at(-1)
    this.live.set(id, tool)
    this.changed()
    this.tell("task_started", id, {
      tool_use_id: tool,
      description: id,
      is_backgrounded: true,
      task_type: "local_bash"
    })
    return id
  }

  /** `false` when there is no such work, or no longer. */
  end(id: string, patch: "completed" | "killed"): boolean {
    const tool = this.live.get(id)
    if (!this.live.delete(id)) return false
    this.tell("task_updated", id, { patch: { status: patch } })
    this.tell("task_notification", id, {
      tool_use_id: tool,
      status: patch === "killed" ? "stopped" : patch,
      output_file: `/home/user/tmp/${id}.output`,
      summary: `Background command "${id}" ${patch}`
    })
    this.changed()
    return true
  }

  /** The CLI does this when it is interrupted and no turn runs: the work ends with the input. */
  doom(): void {
    this.doomed = true
  }

  /** The input has ended. */
  close(): void {
    if (this.doomed) { for (const id of [...this.live.keys()]) this.end(id, "killed") }
  }

  /** Lists what is left. */
  changed(): void {
    if (!this.dialogue.session.modern) return
    const tasks = [...this.live.keys()].map((id) => ({ task_id: id, task_type: "local_bash", description: id }))
    this.dialogue.print({ type: "system", subtype: "background_tasks_changed", tasks })
  }

  private tell(subtype: string, id: string, fields: Readonly<Record<string, unknown>>): void {
    this.dialogue.print({ type: "system", subtype, task_id: id, ...fields })
  }
}
