import type { Task } from "../Message.js"

/** The background work that lives, as the messages tell it. */
export class BackgroundTasks {
  private readonly live = new Set<string>()

  get size(): number {
    return this.live.size
  }

  see(message: Task): void {
    if (message.phase === "background") {
      this.live.clear()
      for (const id of message.live) this.live.add(id)
    } else if (message.phase === "started" && message.background) this.live.add(message.taskId)
    else if (message.phase === "notification" || ended.has(message.status ?? "")) this.live.delete(message.taskId)
  }
}

/** The states of a task from which it does not return. */
const ended: ReadonlySet<string> = new Set(["completed", "failed", "killed", "stopped"])
