import * as Predicate from "effect/Predicate"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { jsonFault } from "../JsonFault.js"
import { failed, type Finding, ok, skipped, together } from "./checkResult.js"
import { codeOf } from "./errorCode.js"
import { configFolder, globalConfig, type Machine } from "./machine.js"

export type Fields = Readonly<Record<string, unknown>>

/** A file of the CLI's configuration, as it was read. */
export interface ConfigFile {
  readonly kind: "global" | "settings" | "mcp"
  readonly path: string
  readonly state:
    | { readonly _tag: "absent" }
    | { readonly _tag: "unreadable"; readonly code: string }
    | { readonly _tag: "faulty"; readonly where: string; readonly detail: string }
    | { readonly _tag: "read"; readonly fields: Fields }
}

/** All of them, those that count more behind those that count less. */
export const readConfig = (machine: Machine): ReadonlyArray<ConfigFile> => [
  read("global", globalConfig(machine)),
  read("settings", join(configFolder(machine), "settings.json")),
  read("settings", join(machine.cwd, ".claude", "settings.json")),
  read("settings", join(machine.cwd, ".claude", "settings.local.json")),
  read("settings", machine.managedSettings),
  read("mcp", join(machine.cwd, ".mcp.json"))
]

export const fieldsOf = ({ state }: ConfigFile): Fields => state._tag === "read" ? state.fields : {}

export const objectOf = (value: unknown): Fields => Predicate.isRecord(value) ? value : {}

export const isBroken = ({ state }: ConfigFile): boolean => state._tag === "faulty" || state._tag === "unreadable"

export const configFinding = (files: ReadonlyArray<ConfigFile>): Finding => {
  const read = files.filter(({ state }) => state._tag === "read").map(({ path }) => path)
  return together(
    files.flatMap(findingsOf),
    read.length === 0 ? skipped("there are none") : ok(`read: ${read.join(", ")}`)
  )
}

// ---------------------------------------------------------------------------

const read = (kind: ConfigFile["kind"], path: string): ConfigFile => ({ kind, path, state: stateOf(kind, path) })

const stateOf = (kind: ConfigFile["kind"], path: string): ConfigFile["state"] => {
  let text: string
  try {
    text = readFileSync(path, "utf8").replace(/^\uFEFF/, "")
  } catch (error) {
    const code = codeOf(error)
    return code === "ENOENT" || code === "ENOTDIR" ? { _tag: "absent" } : { _tag: "unreadable", code }
  }
  // An empty one says nothing. Of the global one that was lost what it had said, and older versions stop there.
  if (kind !== "global" && text.trim() === "") return { _tag: "read", fields: {} }
  const fault = jsonFault(text)
  if (fault !== undefined) {
    return { _tag: "faulty", where: `${path}:${fault.line}:${fault.column}`, detail: fault.detail }
  }
  const value: unknown = JSON.parse(text)
  return Predicate.isRecord(value)
    ? { _tag: "read", fields: value }
    : { _tag: "faulty", where: `${path}:1:1`, detail: "it holds no object" }
}

const findingsOf = ({ kind, path, state }: ConfigFile): ReadonlyArray<Finding> => {
  if (state._tag === "unreadable") {
    return [failed(`${path}: cannot be read (${state.code})`, "Make these files readable for this user.")]
  }
  return state._tag === "faulty"
    ? [failed(`${state.where}: ${state.detail}; ${consequences[kind]}`, repair(kind))]
    : []
}

const consequences: Readonly<Record<ConfigFile["kind"], string>> = {
  global: "Claude Code does not start with it, or begins anew",
  settings: "Claude Code leaves it out without a word, with the rules in it",
  mcp: "its MCP servers are not there"
}

const repair = (kind: ConfigFile["kind"]): string =>
  `Repair the place that is named${kind === "global" ? ", or copy the latest from the backups folder beside it" : ""}.`
