import type { BatchItem } from "../Batch.js"

/** An item that was read. @internal */
export interface Task {
  readonly index: number
  readonly key: string
  readonly item: BatchItem
  /** Why it is not to begin, or to be stopped. */
  cancel?: "item" | "all" | "budget" | "lost"
  /** Once it has ended. */
  wasCancelled?: boolean
}

interface Line {
  readonly priority: number
  /** Those before `next` are not held any more. */
  readonly tasks: Array<Task | undefined>
  next: number
}

/** Those that wait, by priority and then in order. @internal */
export class BatchQueue {
  private readonly waiting = new Set<Task>()
  /** Highest priority first. There are as many as priorities are in use. */
  private readonly lines: Array<Line> = []

  get size(): number {
    return this.waiting.size
  }

  add(task: Task): void {
    this.waiting.add(task)
    const line = this.lineOf(task.item.priority ?? 0)
    const last = line.tasks.at(-1)
    if (last === undefined || last.index < task.index) line.tasks.push(task)
    else line.tasks.splice(placeOf(line, task.index), 0, task)
  }

  /** The most urgent one whose place is before this. */
  peek(before: number): Task | undefined {
    for (const line of [...this.lines]) {
      const task = this.head(line)
      if (task !== undefined && task.index < before) return task
    }
    return undefined
  }

  /** False when it did not wait. */
  remove(task: Task): boolean {
    return this.waiting.delete(task)
  }

  /** All of them, in the order of the input. */
  drain(): ReadonlyArray<Task> {
    const all = [...this.waiting].sort((one, other) => one.index - other.index)
    this.lines.length = 0
    this.waiting.clear()
    return all
  }

  /** Those that were removed are passed over. */
  private head(line: Line): Task | undefined {
    while (true) {
      const task = line.tasks[line.next]
      if (task === undefined) {
        this.lines.splice(this.lines.indexOf(line), 1)
        return undefined
      }
      if (this.waiting.has(task)) return task
      line.tasks[line.next++] = undefined
      if (line.next > 1000 && line.next * 2 > line.tasks.length) {
        line.tasks.splice(0, line.next)
        line.next = 0
      }
    }
  }

  private lineOf(priority: number): Line {
    const at = this.lines.findIndex((line) => line.priority <= priority)
    const found = this.lines[at]
    if (found?.priority === priority) return found
    const line = { priority, tasks: [], next: 0 }
    this.lines.splice(at < 0 ? this.lines.length : at, 0, line)
    return line
  }
}

// ---------------------------------------------------------------------------

const placeOf = ({ next, tasks }: Line, index: number): number => {
  const at = tasks.findIndex((task, place) => place >= next && task !== undefined && task.index > index)
  return at < 0 ? tasks.length : at
}
