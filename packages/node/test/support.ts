import { CliProcess, type Invocation, type RunningCli } from "@ccflow/core/CliProcess"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import { Effect, Exit, type Layer, Scope } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** What a test asks of the operating system, it asks of /proc. */
export const linux = process.platform === "linux"
export const onlyLinux = linux ? "" : " (skipped: needs /proc)"

export const graces = { interrupt: 150, terminate: 150, kill: 500 }
export const graceSum = graces.interrupt + graces.terminate + graces.kill
/** What closing may take beyond the graces, on a busy machine. */
export const tolerance = 500

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ccflow-test-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** An executable file with this text, beside others of the same test. */
export const executable = (text: string, name = "claude") =>
  Effect.map(folder, (path) => {
    const file = join(path, name)
    writeFileSync(file, text, { mode: 0o755 })
    return file
  })

export const shell = (text: string) => executable(`#!/bin/sh\n${text}\n`)

export const invocation = (command: string, more: Partial<Invocation> = {}): Invocation => ({
  command,
  args: [],
  env: {},
  files: [],
  graces,
  ...more
})

export const open = (command: string, more?: Partial<Invocation>) =>
  Effect.flatMap(CliProcess, (cliProcess) => cliProcess.open(invocation(command, more)))

/** A process with a scope of its own, for tests about closing it. */
export const opened = (command: string, more?: Partial<Invocation>) =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const cli = yield* Scope.extend(open(command, more), scope)
    const close = Effect.gen(function*() {
      const started = performance.now()
      yield* Scope.close(scope, Exit.void)
      return performance.now() - started
    })
    return { cli, close }
  })

export const layer: Layer.Layer<CliProcess> = NodeCliProcess.layer

/** Everything up to the end of the output. */
export const readAll = (cli: RunningCli) =>
  Effect.gen(function*() {
    const all: Array<Uint8Array> = []
    for (;;) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) return Buffer.concat(all)
      all.push(...chunks)
    }
  })

/** Output up to and with this text. */
export const readUntil = (cli: RunningCli, text: string) =>
  Effect.gen(function*() {
    let seen = ""
    while (!seen.includes(text)) {
      const chunks = yield* cli.stdout
      if (chunks.length === 0) return yield* Effect.dieMessage(`the output ended without ${text}: ${seen}`)
      seen += Buffer.concat(chunks).toString("utf8")
    }
    return seen
  })

/** Whether it can still run: an ended process that nobody has reaped cannot. */
export const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (!linux) return true
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    return !stat.startsWith("Z", stat.lastIndexOf(")") + 2)
  } catch {
    return false
  }
}

/** For what happens soon, but not at a moment that a test can wait for. */
export const eventually = (what: string, holds: () => boolean, withinMs = 5000) =>
  Effect.promise(async () => {
    for (const deadline = Date.now() + withinMs; !holds();) {
      if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
      await sleep(5)
    }
  })

export const pidIn = (file: string) =>
  eventually(`${file} holds a process id`, () => existsSync(file) && readFileSync(file, "utf8").endsWith("\n")).pipe(
    Effect.map(() => Number(readFileSync(file, "utf8")))
  )

export const descriptors = (): number => readdirSync("/proc/self/fd").length

/** Living processes whose command line has this in it. */
export const processesWith = (text: string): ReadonlyArray<number> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text) && lives(pid)
    } catch {
      return false
    }
  })

/** Bytes that the host holds in buffers, once those that nobody holds are gone. */
export const buffered = (): number => {
  setFlagsFromString("--expose-gc")
  const collect: unknown = runInNewContext("gc")
  if (typeof collect === "function") collect()
  return process.memoryUsage().arrayBuffers
}

/** Then what can wait for it has been done. */
export const nextTurn = Effect.promise(() => new Promise((go) => setImmediate(go)))

export const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

export const listeners = () => [...signals, "exit" as const].map((name) => process.listenerCount(name))
