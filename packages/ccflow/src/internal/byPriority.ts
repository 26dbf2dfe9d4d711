/** What waits its turn: the highest priority first, of equal ones the oldest. Each can be taken out at any time. */
export class ByPriority<A> {
  private readonly levels = new Map<number, Set<A>>()
  /** Highest first. */
  private order: ReadonlyArray<number> = []
  size = 0

  add(value: A, priority: number): void {
    const level = this.levels.get(priority)
    if (level === undefined) {
      this.levels.set(priority, new Set([value]))
      this.order = [...this.levels.keys()].sort((a, b) => b - a)
    } else level.add(value)
    this.size++
  }

  take(): A | undefined {
    const [highest] = this.order
    if (highest === undefined) return undefined
    const [first] = this.levels.get(highest)!
    this.remove(first!, highest)
    return first
  }

  remove(value: A, priority: number): boolean {
    const level = this.levels.get(priority)
    if (level?.delete(value) !== true) return false
    this.size--
    if (level.size === 0) {
      this.levels.delete(priority)
      this.order = this.order.filter((each) => each !== priority)
    }
    return true
  }
}
