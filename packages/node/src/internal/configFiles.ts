import { readFileSync } from "node:fs"
import { join } from "node:path"
import { jsonFault } from "../JsonFault.js"
import { failed, type Finding, ok, skipped, together } from "./checkResult.js"
import { configFolder, globalConfig, type Machine } from "./machine.js"

type Fields = Readonly<Record<string, unknown>>

/** A file of the CLI's configuration, as it was read. @internal */
export interface ConfigFile {
  readonly kind: "global" | "settings" | "mcp"
  readonly path: string
  readonly state:
    | { readonly _tag: "absent" }
    | { readonly _tag: "unreadable"; readonly code: string }
    | { readonly _tag: "faulty"; readonly where: string; readonly detail: string }
    | { readonly _tag: "read"; readonly fields: Fields }
}

/** All of them, those that count more behind those that count less. @internal */
export const readConfig = (machine: Machine): ReadonlyArray<ConfigFile> => [
  read("global", globalConfig(machine)),
  read("settings", join(configFolder(machine), "settings.json")),
  read("settings", join(machine.cwd, ".claude", "settings.json")),
  read("settings", join(machine.cwd, ".claude", "settings.local.json")),
  read("settings", machine.managedSettings),
  read("mcp", join(machine.cwd, ".mcp.json"))
]

/** @internal */
export const fieldsOf = ({ state }: ConfigFile): Fields => state._tag === "read" ? state.fields : {}

/** @internal */
export const objectOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {}

/** @internal */
export const isBroken = ({ state }: ConfigFile): boolean => state._tag === "faulty" || state._tag === "unreadable"

/** @internal */
export const configFinding = (files: ReadonlyArray<ConfigFile>): Finding => {
  const broken = files.flatMap(findingsOf)
  const read = files.filter(({ state }) => state._tag === "read")
  if (broken.length > 0) return together(broken, ok(""))
  return read.length === 0 ? skipped("there are none") : ok(`read: ${read.map(({ path }) => path).join(", ")}`)
}

// ---------------------------------------------------------------------------

const read = (kind: ConfigFile["kind"], path: string): ConfigFile => {
  let text: string
  try {
    text = readFileSync(path, "utf8").replace(/^\uFEFF/, "")
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
    return { kind, path, state: isAbsent(code) ? { _tag: "absent" } : { _tag: "unreadable", code } }
  }
  // An empty one says nothing. Of the global one that was lost what it had said, and older versions stop there.
  if (kind !== "global" && text.trim() === "") return { kind, path, state: { _tag: "read", fields: {} } }
  const fault = jsonFault(text)
  if (fault !== undefined) {
    return {
      kind,
      path,
      state: { _tag: "faulty", where: `${path}:${fault.line}:${fault.column}`, detail: fault.detail }
    }
  }
  const value: unknown = JSON.parse(text)
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? { kind, path, state: { _tag: "read", fields: { ...value } } }
    : { kind, path, state: { _tag: "faulty", where: `${path}:1:1`, detail: "it holds no object" } }
}

const isAbsent = (code: string): boolean => code === "ENOENT" || code === "ENOTDIR"

const findingsOf = ({ kind, path, state }: ConfigFile): ReadonlyArray<Finding> => {
  switch (state._tag) {
    case "unreadable":
      return [failed(`${path}: cannot be read (${state.code})`, "Make these files readable for this user.")]
    case "faulty":
      return [failed(`${state.where}: ${state.detail}; ${consequences[kind]}`, fixes[kind])]
    default:
      return []
  }
}

const consequences: Readonly<Record<ConfigFile["kind"], string>> = {
  global: "Claude Code does not start with it, or begins anew",
  settings: "Claude Code leaves it out without a word, with the rules in it",
  mcp: "its MCP servers are not there"
}

const fixes: Readonly<Record<ConfigFile["kind"], string>> = {
  global: "Repair the place that is named, or copy the latest from the backups folder beside it.",
  settings: "Repair the place that is named.",
  mcp: "Repair the place that is named."
}
