// What the modules share: the script and the command line, read once at the start, and what changes as it runs.
export const script = { version: "2.1.330" }
export const flags = new Map()
export const prompts = []
/** User lines that wait for a turn. */
export const queue = []
/** The uuids of the user lines so far. */
export const seen = new Set()
/** Control requests to the host that wait for their answer, by request id. */
export const pending = new Map()
/**
 * Beside these counters: `model`, `mode`, `session`, `format` and `mayBypass` by the flags; `turn`, the one that runs;
 * `working`; `answered`, if the turn has its result; `failed`, if the last result was an error; `reading`, `eof` and
 * `deaf` of stdin; `doomed`, if background work ends with stdin; `servers`, the MCP servers that the host serves.
 */
export const state = { ids: 0, results: 0, turns: 0, servers: [] }
/** Whether it plays the newer version of the two that are known. */
export const modern = () => script.version !== "2.1.197"

export const MODELS = {
  default: "claude-opus-5-5",
  opus: "claude-opus-5-5",
  sonnet: "claude-sonnet-5-5",
  haiku: "claude-haiku-5-5"
}
export const modelOf = (name) => Object.hasOwn(MODELS, name) ? MODELS[name] : name
