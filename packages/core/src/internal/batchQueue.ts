import * as Order from "effect/Order"
import * as Tree from "effect/RedBlackTree"
import type { BatchItem } from "../Batch.js"

/** An item that was read. */
export interface Task {
  readonly index: number
  readonly key: string
  readonly item: BatchItem
  /** Why it is not to begin, or to be stopped. */
  cancel?: "item" | "all" | "budget" | "lost"
  /** Once it has ended. */
  wasCancelled?: boolean
}

/** Those that wait, by priority and then in order. */
export class BatchQueue {
  private waiting = Tree.empty<Task, Task>(byPriority)

  get size(): number {
    return Tree.size(this.waiting)
  }

  add(task: Task): void {
    this.waiting = Tree.insert(this.waiting, task, task)
  }

  /** The most urgent one whose place is before this. */
  peek(before: number): Task | undefined {
    let [task] = Tree.values(this.waiting)
    while (task !== undefined && task.index >= before) {
      // So are all others of its priority.
      const [next] = Tree.greaterThan(this.waiting, { ...task, index: Infinity })
      task = next?.[1]
    }
    return task
  }

  /** False when it did not wait. */
  remove(task: Task): boolean {
    const waited = Tree.has(this.waiting, task)
    this.waiting = Tree.removeFirst(this.waiting, task)
    return waited
  }

  /** All of them, in the order of the input. */
  drain(): ReadonlyArray<Task> {
    const all = [...Tree.values(this.waiting)].sort(byIndex)
    this.waiting = Tree.empty(byPriority)
    return all
  }
}

// ---------------------------------------------------------------------------

const byIndex = Order.mapInput(Order.number, ({ index }: Task) => index)

/** Highest first. What is no number is the default. */
const byPriority = Order.combine(
  Order.reverse(Order.mapInput(Order.number, ({ item }: Task) => Number(item.priority) || 0)),
  byIndex
)
