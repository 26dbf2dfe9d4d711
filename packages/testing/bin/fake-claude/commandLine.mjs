// The command line. The flags the CLI has: `=` takes a value, `*` takes several, `?` may take one.
import { randomUUID } from "node:crypto"
import { die, refuse } from "./output.mjs"
import { flags, modelOf, prompts, script, state } from "./state.mjs"

const FLAGS =
  `print verbose version help continue bare ide chrome no-chrome init maintenance fork-session include-partial-messages
  include-hook-events replay-user-messages dangerously-skip-permissions allow-dangerously-skip-permissions
  strict-mcp-config no-session-persistence disable-slash-commands await-initialize model= fallback-model= name=
  system-prompt= append-system-prompt= system-prompt-file= append-system-prompt-file= permission-mode= max-turns=
  max-budget-usd= permission-prompt-tool= max-thinking-tokens= settings= setting-sources= agent= agents= session-id=
  json-schema= input-format= output-format= effort= debug-file= plugin-dir= resume-session-at= thinking= resume? debug?
  worktree? from-pr? tools* allowedTools* allowed-tools* disallowedTools* disallowed-tools* mcp-config* add-dir* betas*`
const arity = new Map(FLAGS.split(/\s+/).map((flag) => [flag.replace(/\W$/, ""), /\w$/.test(flag) ? "" : flag.at(-1)]))
const SHORT = { p: "print", r: "resume", c: "continue", d: "debug", v: "version", h: "help", n: "name", w: "worktree" }
const SKIPS = ["dangerously-skip-permissions", "allow-dangerously-skip-permissions"]

const isRejected = (name) => script.rejectFlags === true ? !arity.has(name) : script.rejectFlags?.includes(`--${name}`)

export const readArgs = (argv) => {
  const rest = [...argv]
  const valueComes = () => rest.length > 0 && /^([^-]|-?$)/.test(rest[0])
  while (rest.length > 0) {
    const arg = rest.shift()
    if (arg === "--") return prompts.push(...rest)
    const [token, dashes, given, value] = /^(--?)([^=]+)(?:=([^]*))?$/.exec(arg) ?? []
    if (token === undefined) {
      prompts.push(arg)
      continue
    }
    const name = dashes === "-" ? SHORT[given] ?? given : given
    if (isRejected(name)) die(1, `error: unknown option '${dashes}${given}'`)
    const takes = value === undefined ? arity.get(name) : ""
    flags.set(name, takes === "=" || takes === "?" && valueComes() ? rest.shift() ?? "" : value ?? true)
    while (takes === "*" && valueComes()) rest.shift()
  }
}

/** What the flags say about the session. */
export const readFlags = () => {
  const [resume, asked] = [flags.get("resume"), flags.get("permission-mode")]
  const kept = typeof resume === "string" && !flags.has("fork-session") ? resume : randomUUID()
  state.format = flags.get("output-format") ?? "text"
  state.model = modelOf(flags.get("model") ?? "default")
  state.mode = flags.has(SKIPS[0]) ? "bypassPermissions" : asked ?? "default"
  state.mayBypass = SKIPS.some((name) => flags.has(name)) || asked === "bypassPermissions"
  state.session = flags.get("session-id") ?? kept
}

/** Refuses the combinations that the CLI refuses. */
export const checkFlags = () => {
  const [format, input, id] = [state.format, flags.get("input-format"), flags.get("session-id")]
  const forked = flags.has("fork-session") || !flags.get("resume")
  refuse(input === "stream-json" && format !== input, "--input-format=stream-json requires output-format=stream-json.")
  refuse(
    format === "stream-json" && !flags.has("verbose"),
    "When using --print, --output-format=stream-json requires --verbose"
  )
  refuse(
    id !== undefined && !/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(id),
    "Invalid session ID. Must be a valid UUID."
  )
  refuse(id && !forked, "--session-id with --resume also needs --fork-session.")
}
