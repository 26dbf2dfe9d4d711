// The command line of the CLI. The flags it has: `=` takes a value, `*` takes several, `?` may take one.
const FLAGS =
  `print verbose version help continue bare ide chrome no-chrome init maintenance fork-session include-partial-messages
  include-hook-events replay-user-messages dangerously-skip-permissions allow-dangerously-skip-permissions
  strict-mcp-config no-session-persistence disable-slash-commands await-initialize model= fallback-model= name=
  system-prompt= append-system-prompt= system-prompt-file= append-system-prompt-file= permission-mode= max-turns=
  max-budget-usd= permission-prompt-tool= max-thinking-tokens= settings= setting-sources= agent= agents= session-id=
  json-schema= input-format= output-format= effort= debug-file= plugin-dir= resume-session-at= thinking= resume? debug?
  worktree? from-pr? tools* allowedTools* allowed-tools* disallowedTools* disallowed-tools* mcp-config* add-dir* betas*`

/** How each takes its value, by its name. @type {ReadonlyMap<string, string>} */
export const arity = new Map(
  FLAGS.split(/\s+/).map((flag) => [flag.replace(/\W$/, ""), /\w$/.test(flag) ? "" : flag.slice(-1)])
)

/** @type {Readonly<Record<string, string>>} */
const short = {
  p: "print",
  r: "resume",
  c: "continue",
  d: "debug",
  v: "version",
  h: "help",
  n: "name",
  w: "worktree"
}

/**
 * Words that are no flag, such as a prompt, and flags in their order: as they stand there, by their whole names without
 * dashes, and their values, of which a flag may have none or several.
 * @param {ReadonlyArray<string>} args
 */
export const readArgs = (args) => {
  const rest = [...args]
  /** @type {Array<string>} */
  const words = []
  /** @type {Array<{ readonly token: string, readonly name: string, readonly values: Array<string> }>} */
  const flags = []
  const valueComes = () => /^([^-]|-?$)/.test(rest[0] ?? "--")
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") return { words: [...words, ...rest], flags }
    const [, token = "", dashes, given = "", value] = /^((--?)([^=]+))(?:=([^]*))?$/.exec(arg) ?? []
    if (dashes === undefined) {
      words.push(arg)
      continue
    }
    const name = dashes === "-" ? short[given] ?? given : given
    const takes = value === undefined ? arity.get(name) : ""
    const values = value === undefined ? [] : [value]
    if (takes === "=" || takes === "?" && valueComes()) values.push(rest.shift() ?? "")
    while (takes === "*" && valueComes()) values.push(rest.shift() ?? "")
    flags.push({ token, name, values })
  }
  return { words, flags }
}
