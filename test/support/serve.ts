import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { follow } from "./programs.js"

export interface Serving extends AsyncDisposable {
  readonly url: string
  readonly child: ChildProcess
  readonly stderr: () => string
  /** Tells it to stop, and gives its exit code. */
  readonly stop: () => Promise<number | null>
}

/** `ccflow serve` as a process, on a port that is free. Fails with what it says when it does not listen. */
export const serve = async (
  command: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>
): Promise<Serving> => {
  const child = spawn(process.execPath, [command, "serve", "--port=0", ...args], {
    env,
    stdio: ["ignore", "ignore", "pipe"]
  })
  const { stderr } = follow(child)
  const ended = once(child, "exit").then(() => undefined)
  const told = async (): Promise<string> => {
    while (true) {
      const [, url] = /Listening on (http:\/\/\S+?)[,.]?\s/.exec(stderr()) ?? []
      if (url !== undefined) return url
      if (child.exitCode !== null || await Promise.race([ended.then(() => true), pause(20)])) throw new Error(stderr())
    }
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM")
    await ended
    return child.exitCode
  }
  return {
    url: (await told()).replace(/\.$/, ""),
    child,
    stderr,
    stop,
    [Symbol.asyncDispose]: async () => void await stop()
  }
}

/** Waits until something holds, for at most this long. */
export const eventually = async (holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> => {
  const limit = Date.now() + withinMs
  while (!await holds()) {
    if (Date.now() > limit) throw new Error(`It did not hold within ${withinMs} ms: ${holds.toString()}`)
    await pause(20)
  }
}

export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const pause = (ms: number) => new Promise<false>((resolve) => setTimeout(() => resolve(false), ms))
