/**
 * The process groups that this host has started and not yet seen end.
 *
 * Node ends on a signal without running anything, and an `exit` listener cannot wait. So while groups live, one listener
 * for each signal and one for `exit` see to it that none outlives the host. A host that handles a signal itself is left
 * to do so; what it leaves behind goes at its exit.
 *
 * @internal
 */
const groups = new Set<number>()
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

/** How long the host waits, after a signal, for the groups to leave before they are killed. */
const leaveMs = 1500

export const register = (pid: number): void => {
  groups.add(pid)
  if (groups.size > 1) return
  process.on("exit", killAll)
  for (const name of signals) process.on(name, onSignal)
}

export const unregister = (pid: number): void => {
  if (!groups.delete(pid) || groups.size > 0) return
  process.off("exit", killAll)
  for (const name of signals) process.off(name, onSignal)
}

/** Signals every process of the group. `false` when there is none left. */
export const signal = (pid: number, name: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(-pid, name)
  } catch {
    return false
  }
}

export const alive = (pid: number): boolean => signal(pid, 0)

/** Kills what is left of a group. A group that was seen empty is not touched again: its number may be another's. */
export const kill = (pid: number): void => {
  if (groups.has(pid)) signal(pid, "SIGKILL")
  unregister(pid)
}

const killAll = (): void => {
  for (const pid of groups) signal(pid, "SIGKILL")
}

const onSignal = (name: NodeJS.Signals): void => {
  if (process.listenerCount(name) > 1) return
  for (const pid of groups) signal(pid, "SIGTERM")
  const deadline = Date.now() + leaveMs
  const end = () => {
    killAll()
    for (const each of signals) process.off(each, onSignal)
    process.kill(process.pid, name)
  }
  const check = () => {
    if (Date.now() >= deadline || ![...groups].some(alive)) end()
    else setTimeout(check, 20)
  }
  check()
}
