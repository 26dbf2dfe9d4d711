import { toEnv } from "@ccflow/core/AgentOptions"
import type { Account, HealthStatus } from "@ccflow/core/HealthCheck"
import * as Array from "effect/Array"
import { type Finding, ok, skipped, together, warning } from "./checkResult.js"
import { type ConfigFile, fieldsOf, objectOf } from "./configFiles.js"
import type { Machine } from "./machine.js"

/** What ccflow leaves out of every CLI's environment. */
export const drops: ReadonlySet<string> = new Set(
  Object.entries(toEnv({})).flatMap(([name, value]) => value === undefined ? [name] : [])
)

/** A variable that CLIs get, and where it was set. */
export interface Variable {
  readonly name: string
  readonly value: string
  readonly from: string
}

/** The CLI adds what its settings say to the environment that it gets. */
export const variablesOf = ({ env }: Machine, files: ReadonlyArray<ConfigFile>): ReadonlyMap<string, Variable> => {
  const all = new Map<string, Variable>()
  const add = (values: Readonly<Record<string, unknown>>, from: string) => {
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === "string" && value !== "") all.set(name, { name, value, from })
    }
  }
  add(env, "the environment")
  for (const file of files) if (file.kind !== "mcp") add(objectOf(fieldsOf(file)["env"]), file.path)
  return all
}

/** Who pays, and what decides it without having been meant to. */
export const accountFinding = (
  { account, authenticated }: HealthStatus,
  variables: ReadonlyMap<string, Variable>,
  files: ReadonlyArray<ConfigFile>
): Finding => {
  const login = loginOf(files)
  const set = (names: ReadonlyArray<string>) => names.flatMap((name) => variables.get(name) ?? [])
  const found: ReadonlyArray<Finding> = [
    ...(login === undefined ? [] : set(overriding)).map(({ from, name }) =>
      warning(
        `${name} (from ${from}) is used instead of the login of ${login}`,
        `If the subscription shall pay, remove ${name}, or drop it for ccflow alone: env: { ${name}: undefined }.`
      )
    ),
    ...set(Object.keys(clouds)).filter(({ value }) => isOn(value)).map(({ from, name }) =>
      warning(
        `${name} (from ${from}): ${clouds[name]} is asked and paid, and no login of Claude Code's`,
        `If that is not meant, remove ${name}.`
      )
    ),
    ...set(bases).map(({ from, name, value }) =>
      warning(`${name} (from ${from}): requests go to ${hostOf(value)}`, `If that is not meant, remove ${name}.`)
    )
  ]
  const paying = account === null ? [] : [ok(payerOf(account, variables))]
  return together(
    [...paying, ...found],
    skipped(authenticated === false ? "nobody is logged in" : "it cannot be told who pays")
  )
}

export const rootFinding = ({ env, userId }: Machine, files: ReadonlyArray<ConfigFile>): Finding => {
  const wanted = files.find((file) => objectOf(fieldsOf(file)["permissions"])["defaultMode"] === "bypassPermissions")
  if (userId === undefined) return skipped("there is no root here")
  if (userId !== 0) return ok(`user ${userId}${wanted === undefined ? "" : `; ${wanted.path} bypasses permissions`}`)
  if (isOn(env["IS_SANDBOX"] ?? "")) return ok("root, in what IS_SANDBOX says is a sandbox")
  return warning(
    `this is root: Claude Code refuses to bypass permissions${
      wanted === undefined ? "" : `, which ${wanted.path} asks for`
    }`,
    "Run as another user; in a container of its own set IS_SANDBOX=1."
  )
}

export const nestingFinding = ({ env }: Machine): Finding => {
  const [kept, dropped] = inherited(env, marks)
  return together([
    ...(dropped.length === 0 ? [] : [ok(`within Claude Code; CLIs are started without ${dropped.join(", ")}`)]),
    ...(kept.length === 0 ? [] : [warning(
      `CLIs inherit what another session has set: ${kept.join(", ")}`,
      `Where that disturbs, drop them: env: { ${kept[0]}: undefined, … }.`
    )])
  ], ok("this is no session within Claude Code"))
}

export const nodeOptionsFinding = ({ env }: Machine): Finding => {
  const [kept, dropped] = inherited(env, ["NODE_OPTIONS", "VSCODE_INSPECTOR_OPTIONS"])
  if (kept.length > 0) {
    return warning(
      `CLIs inherit ${kept.join(", ")}: a debugger may hold them`,
      `Drop it: env: { ${kept[0]}: undefined }.`
    )
  }
  return dropped.length === 0 ? ok("there are none") : warning(
    `CLIs, and the hooks and MCP servers that they start, run without ${dropped.join(", ")}`,
    `Where they need it: env: { ${dropped[0]}: "…" }.`
  )
}

// ---------------------------------------------------------------------------

/** Those of these variables that are set: what CLIs get of them, and what ccflow drops. */
const inherited = (env: Machine["env"], names: ReadonlyArray<string>) =>
  Array.partition(names.filter((name) => (env[name] ?? "") !== ""), (name) => drops.has(name))

/** What the CLI was seen to set for the commands that its tools run. */
const marks = [
  "CLAUDECODE",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SSE_PORT",
  "CLAUDE_EFFORT",
  "CLAUDE_PID"
]

const overriding = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
const bases = ["ANTHROPIC_BASE_URL", "ANTHROPIC_BEDROCK_BASE_URL", "ANTHROPIC_VERTEX_BASE_URL"]
const clouds: Readonly<Record<string, string>> = {
  CLAUDE_CODE_USE_BEDROCK: "Amazon Bedrock",
  CLAUDE_CODE_USE_VERTEX: "Google Vertex AI",
  CLAUDE_CODE_USE_FOUNDRY: "Microsoft Foundry"
}

const isOn = (value: string): boolean => !["", "0", "false", "no", "off"].includes(value.trim().toLowerCase())

/** Whose login there is, as far as the configuration tells. */
const loginOf = (files: ReadonlyArray<ConfigFile>): string | undefined => {
  const global = files.find(({ kind }) => kind === "global")
  const login = global === undefined ? undefined : fieldsOf(global)["oauthAccount"]
  if (login === undefined || login === null) return undefined
  const { emailAddress } = objectOf(login)
  return typeof emailAddress === "string" ? emailAddress : "this user"
}

const payerOf = (
  { email, organization, payer, plan, provider, source }: Account,
  variables: ReadonlyMap<string, Variable>
): string => {
  const who = [email, organization].filter((name) => name !== null).join(", ")
  switch (payer) {
    case "subscription":
      return `the subscription${plan === null ? "" : ` (${plan})`}${who === "" ? "" : ` of ${who}`} pays`
    case "apiKey":
      return `an API key pays, from ${source ?? "an unknown place"}`
    case "token": {
      const token = ["ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"].find((name) => variables.has(name))
      return `the account of a token pays, from ${token ?? source ?? "an unknown place"}`
    }
    case "cloud":
      return `the cloud account pays (${provider})`
    default:
      return `somebody is logged in (${source ?? "unknown"})`
  }
}

/** Without what may be secret in an address. */
const hostOf = (text: string): string => {
  if (!URL.canParse(text)) return "something that is no address"
  const { host, protocol } = new URL(text)
  return `${protocol}//${host}`
}
