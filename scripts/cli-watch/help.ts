/** The flags that `claude --help` and the help of its commands list. */
import { execFile } from "node:child_process"

/** The part of a help text under a heading, up to the next one. */
const section = (help: string, heading: string): ReadonlyArray<string> => {
  const lines = help.split("\n")
  const start = lines.indexOf(heading)
  if (start < 0) return []
  const end = lines.findIndex((line, index) => index > start && /^\S/.test(line))
  return lines.slice(start + 1, end < 0 ? undefined : end)
}

/** An entry stands two spaces in; what says something about it stands further in, or two spaces behind it. */
const entries = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.flatMap((line) => /^ {2}(\S.*?)(?: {2,}.*)?$/.exec(line)?.[1] ?? [])

export const flagsIn = (help: string): ReadonlyArray<string> =>
  entries(section(help, "Options:")).filter((entry) => entry.startsWith("-"))

/** The first name of each command: of `plugin|plugins` the first. */
export const commandsIn = (help: string): ReadonlyArray<string> =>
  entries(section(help, "Commands:")).flatMap((entry) => /^[a-z][a-z-]*/.exec(entry)?.[0] ?? [])
    .filter((name) => name !== "help")

export interface Asked {
  readonly cli: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string>>
}

const helpOf = ({ cli, cwd, env }: Asked, command: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve) => {
    execFile(cli, [...command, "--help"], { cwd, env, timeout: 20_000 }, (_, stdout) => resolve(stdout))
  })

const deepest = 2

/** By command: `claude`, `claude mcp`, `claude mcp add`. A command without a help of its own shows its parent's. */
export const allFlags = async (asked: Asked): Promise<Readonly<Record<string, ReadonlyArray<string>>>> => {
  const found: Array<readonly [string, ReadonlyArray<string>]> = []
  const visit = async (command: ReadonlyArray<string>, parent: string): Promise<void> => {
    const help = await helpOf(asked, command)
    if (help === "" || help === parent) return
    found.push([["claude", ...command].join(" "), flagsIn(help)])
    if (command.length === deepest) return
    for (const name of commandsIn(help)) await visit([...command, name], help)
  }
  await visit([], "")
  return Object.fromEntries(found)
}
