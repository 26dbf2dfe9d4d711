import type { CliExit, Graces } from "@ccflow/core/CliProcess"
import type { ChildProcessWithoutNullStreams } from "node:child_process"
import * as HostEnd from "./hostEnd.js"
import { OutputReader } from "./outputReader.js"
import { ProcessGroup } from "./processGroup.js"
import { TailBuffer } from "./tailBuffer.js"

const stderrTailBytes = 64 * 1024
/** Until the killed rest of a group is gone. Not longer: without a reaper in the container its zombies stay. */
const killedMs = 100

/** A started CLI with everything that belongs to it, until it is closed. */
export class Child implements HostEnd.Guest {
  readonly pid: number
  readonly output: OutputReader
  readonly stderr: TailBuffer
  /** The host ends: nothing is told any more. */
  dismissed = false
  private exit: CliExit | undefined
  private readonly group: ProcessGroup
  private readonly process: ChildProcessWithoutNullStreams
  private readonly exitListeners = new Set<(exit: CliExit) => void>()

  constructor(process: ChildProcessWithoutNullStreams, pid: number, unref: boolean) {
    this.process = process
    this.pid = pid
    this.group = new ProcessGroup(pid)
    for (const pipe of [process.stdin, process.stdout, process.stderr]) {
      // Without a listener an error of a pipe would end the host; what it means is told by the exit.
      pipe.on("error", () => {})
      // They are sockets, which the types do not say; `node:net` itself takes its time to import.
      if (unref && "unref" in pipe && typeof pipe.unref === "function") pipe.unref()
    }
    if (unref) process.unref()
    this.output = new OutputReader(process.stdout)
    this.stderr = new TailBuffer(process.stderr, stderrTailBytes)
    process.once("exit", (code, signal) => this.exited({ code, signal }))
    HostEnd.admit(this)
  }

  /** Does what tells the host's code something. */
  tell(action: () => void): void {
    if (!this.dismissed) action()
  }

  send(text: string, done: (taken: boolean) => void): void {
    const { stdin } = this.process
    if (!stdin.writable) return this.tell(() => done(false))
    stdin.write(text, (error) => this.tell(() => done(error == null)))
  }

  closeInput(): void {
    this.process.stdin.end()
  }

  interrupt(): void {
    if (this.exit === undefined) this.group.signal("SIGINT")
  }

  /** Gives the way to call it off. */
  onExit(listener: (exit: CliExit) => void): () => void {
    if (this.exit === undefined) this.exitListeners.add(listener)
    else this.tell(() => listener(this.exit!))
    return () => this.exitListeners.delete(listener)
  }

  /** Ends the process and its group, harder with every step, and gives its descriptors back. */
  close(graces: Graces, done: () => void): void {
    let timer: ReturnType<typeof setTimeout> | undefined
    const finish = () => {
      clearTimeout(timer)
      callOff()
      const left = this.group.signal("SIGKILL")
      this.output.destroy()
      this.stderr.destroy()
      this.process.stdin.destroy()
      this.process.unref()
      const patience = this.exit === undefined ? 0 : Math.min(killedMs, graces.kill)
      this.awaitGroup(left ? Date.now() + patience : 0, () => {
        HostEnd.release(this)
        this.tell(done)
      })
    }
    const step = (signals: ReadonlyArray<readonly [NodeJS.Signals, number]>) => {
      const [next, ...rest] = signals
      if (next === undefined) return finish()
      this.group.signal(next[0])
      timer = setTimeout(step, next[1], rest)
    }
    let callOff = () => {}
    if (this.exit !== undefined) return finish()
    callOff = this.onExit(finish)
    this.output.discard()
    this.closeInput()
    step([["SIGINT", graces.interrupt], ["SIGTERM", graces.terminate], ["SIGKILL", graces.kill]])
  }

  ask(signal: NodeJS.Signals): void {
    this.dismissed = true
    this.output.discard()
    this.group.signal(signal)
  }

  gone(): boolean {
    return this.group.leaderGone
  }

  remove(): void {
    this.group.signal("SIGKILL")
  }

  private exited(exit: CliExit): void {
    this.exit = exit
    this.group.leaderExited()
    this.output.childExited()
    this.stderr.childExited()
    this.tell(() => {
      for (const listener of this.exitListeners) listener(exit)
    })
    this.exitListeners.clear()
  }

  /** A signal is on its way when the call that sends it returns; what it kills has not ended yet. */
  private awaitGroup(deadline: number, done: () => void): void {
    if (Date.now() >= deadline || !this.group.signal(0)) done()
    else setTimeout(() => this.awaitGroup(deadline, done), 1)
  }
}
