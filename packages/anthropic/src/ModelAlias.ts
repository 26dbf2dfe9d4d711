/** What the short names of models stand for at the API. The CLI knows them, the API does not. */

/** As of 2026-11-22. `default` is what the CLI was seen to take on its own (2.1.330). */
export const aliases: Readonly<Record<string, string>> = {
  default: "claude-opus-5-5",
  opus: "claude-opus-5-5",
  sonnet: "claude-sonnet-5-5",
  haiku: "claude-haiku-5-5"
}

/** The id for an alias; any other name as it is, but for the CLI's mark `[1m]`: the long window is there without it. */
export const resolve = (model: string): string => {
  const id = model.replace(/\[1m\]$/i, "")
  const alias = id.toLowerCase()
  return Object.hasOwn(aliases, alias) ? aliases[alias] ?? id : id
}
