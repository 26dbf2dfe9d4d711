import { type ChildProcess, spawn } from "node:child_process"
import { expect } from "vitest"
import { note } from "./run.js"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** What a started program writes, and how it ends. At the end of the run it is searched for secrets. */
export interface Program<Child extends ChildProcess = ChildProcess> {
  readonly child: Child
  readonly stdout: () => string
  readonly stderr: () => string
  readonly ended: Promise<Ended>
}

export const follow = <Child extends ChildProcess>(child: Child): Program<Child> => {
  const text = { stdout: "", stderr: "" }
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (part: string) => text[name] += part)
  }
  // Who ends before it has read all breaks the pipe.
  child.stdin?.on("error", () => {})
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code, signal) => {
      for (const name of ["stdout", "stderr"] as const) note(`${name} of a program of ${currentFile()}`, text[name])
      resolve({ code, signal, ...text })
    })
  })
  return { child, stdout: () => text.stdout, stderr: () => text.stderr, ended }
}

export interface Start {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Left out, there is nothing to read. */
  readonly stdin?: string
  /** In milliseconds. Left out, it has as long as it takes. */
  readonly timeout?: number
}

/** A script for Node, run to its end in an environment of its own. */
export const runScript = async (
  script: string,
  args: ReadonlyArray<string>,
  { stdin = "", ...options }: Start
): Promise<Omit<Ended, "signal">> => {
  const program = follow(spawn(process.execPath, [script, ...args], options))
  program.child.stdin.end(stdin)
  const { code, stderr, stdout } = await program.ended
  return { code, stdout, stderr }
}

/** The file whose tests are running here. */
export const currentFile = (): string => expect.getState().testPath ?? "an unknown file"
