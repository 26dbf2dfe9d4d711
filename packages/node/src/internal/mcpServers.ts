import * as Either from "effect/Either"
import { failed, type Finding, ok, skipped, together, warning } from "./checkResult.js"
import { type ConfigFile, type Fields, fieldsOf, objectOf } from "./configFiles.js"
import { locate } from "./executable.js"
import type { Machine } from "./machine.js"

/** Whether their commands are there. Nothing is started. */
export const mcpFinding = (machine: Machine, files: ReadonlyArray<ConfigFile>): Finding => {
  const servers = configured(machine, files)
  if (servers.length === 0) return skipped("none is configured")
  return together(
    servers.map((server) => findingOf(machine, server)).filter(({ status }) => status !== "ok"),
    ok(`${servers.map(({ name }) => name).join(", ")}: nothing is missing to start them`)
  )
}

/** What `claude mcp list` says of them, having started them. */
export const liveFinding = (stdout: string): Finding => {
  const said = stdout.split("\n").flatMap((line) => {
    const [, name, state] = /^(.+?): .* - (\S.*)$/.exec(line.trim()) ?? []
    return name === undefined || state === undefined ? [] : [{ name, state }]
  })
  return together(
    said.map(({ name, state }) =>
      /^[✗✘×]|failed/i.test(state)
        ? failed(`${name}: ${state.replace(/^[✗✘×]\s*/, "")}`, "Start its command by hand to see why.")
        : /^[✓✔√]/.test(state)
        ? ok(`${name}: ${state.replace(/^\S\s*/, "")}`)
        : warning(`${name}: ${state.replace(/^[^\p{L}]+/u, "")}`, "Run claude, and see /mcp.")
    ),
    skipped("none is configured")
  )
}

// ---------------------------------------------------------------------------

interface Server {
  readonly name: string
  readonly from: string
  readonly fields: Fields
}

const configured = ({ cwd }: Machine, files: ReadonlyArray<ConfigFile>): ReadonlyArray<Server> => {
  const named = (servers: unknown, from: string) =>
    Object.entries(objectOf(servers)).map(([name, fields]) => ({ name, from, fields: objectOf(fields) }))
  return files.flatMap((file) => {
    const fields = fieldsOf(file)
    if (file.kind === "mcp") return named(fields["mcpServers"], file.path)
    if (file.kind !== "global") return []
    const project = objectOf(objectOf(fields["projects"])[cwd])
    return [...named(fields["mcpServers"], file.path), ...named(project["mcpServers"], file.path)]
  })
}

const findingOf = ({ cwd, env }: Machine, { fields, from, name }: Server): Finding => {
  const at = `${name} (${from})`
  const own = objectOf(fields["env"])
  const missing = unset([fields["command"], fields["args"], own, fields["url"], fields["headers"]], env)
  if (missing.length > 0) {
    return warning(`${at}: ${missing.join(", ")} is not set`, "Set it, or give a default: ${NAME:-default}.")
  }
  const { command, url } = fields
  if (typeof url === "string") {
    return URL.canParse(expanded(url, env)) ? ok(name) : failed(`${at}: its url is no address`, "Correct its url.")
  }
  if (typeof command !== "string" || command.trim() === "") {
    return failed(`${at}: it has neither command nor url`, "Give it the one or the other.")
  }
  const program = expanded(command, env)
  const located = locate({ command: program, cwd }, own["PATH"] === undefined ? env["PATH"] : String(own["PATH"]))
  if (Either.isRight(located)) return ok(name)
  return located.left._tag === "CliNotFoundError"
    ? failed(`${at}: there is no command ${program}`, `Install it, give its whole path, or: claude mcp remove ${name}.`)
    : failed(`${at}: ${program} cannot be started: ${located.left.hint}`, "Repair it, or remove the server.")
}

const variable = /\$\{(\w+)(:-([^}]*))?\}/g

const expanded = (text: string, env: Machine["env"]): string =>
  text.replace(variable, (_, name: string, _whole: string | undefined, otherwise = "") => env[name] ?? otherwise)

const unset = (values: ReadonlyArray<unknown>, env: Machine["env"]): ReadonlyArray<string> => [
  ...new Set(
    values.flatMap((value) =>
      [...JSON.stringify(value ?? "").matchAll(variable)].flatMap(([, name = "", otherwise]) =>
        otherwise === undefined && env[name] === undefined ? [name] : []
      )
    )
  )
]
