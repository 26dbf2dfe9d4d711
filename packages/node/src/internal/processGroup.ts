import { isZombie, send } from "./processTable.js"

/** The processes that a child leads, itself included. Where there are no groups it is the child alone. */
export class ProcessGroup {
  readonly pid: number
  private leaderReaped = false

  constructor(pid: number) {
    this.pid = pid
  }

  leaderExited(): void {
    this.leaderReaped = true
  }

  /** `false` when nobody is left to get it. */
  signal(name: NodeJS.Signals | 0): boolean {
    if (!this.leaderReaped) return send(hasGroups ? -this.pid : this.pid, name)
    // No process gets the number of a group that still has members. So when one has it again, the group is another's.
    return hasGroups && send(-this.pid, 0) && !send(this.pid, 0) && send(-this.pid, name)
  }

  /** Asks the operating system, and so is also right before the exit has been reported to us. */
  get leaderGone(): boolean {
    return this.leaderReaped || isZombie(this.pid)
  }
}

const hasGroups = process.platform !== "win32"
