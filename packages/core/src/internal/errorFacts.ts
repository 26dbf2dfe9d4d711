import type { ClaudeError } from "../ClaudeError.js"

/**
 * What of an error may be written where others read along: its tag, and facts that are words or numbers of ours, of the
 * API or of the system. Never its text, which may repeat what the model or the CLI has said.
 */
export const errorFacts = (error: ClaudeError): Readonly<Record<string, string | number>> => {
  const facts: Record<string, string | number> = {}
  const values: Readonly<Record<string, unknown>> = { ...error }
  for (const name of told) keep(facts, name, values[name])
  if ("facts" in error && error.facts !== undefined) {
    keep(facts, "exitCode", error.facts.exitCode)
    keep(facts, "signal", error.facts.signal)
  }
  return facts
}

/** An error that says so much and no more. */
export const sayable = (error: ClaudeError): Error => {
  const facts = Object.entries(errorFacts(error)).map(([name, value]) => `${name} ${value}`).join(", ")
  return plainError(error._tag, facts === "" ? error._tag : `${error._tag} (${facts})`)
}

export const plainError = (name: string, message: string): Error => {
  const error = new Error(message)
  error.name = name
  error.stack = `${name}: ${message}`
  return error
}

// ---------------------------------------------------------------------------

const told = ["reason", "phase", "timeoutMs", "status", "type", "code", "limit", "retryAfter", "resetsAt", "operation"]

/** What is long is no name. */
const keep = (facts: Record<string, string | number>, name: string, value: unknown): void => {
  if (typeof value === "number" || (typeof value === "string" && value !== "" && value.length <= 64)) {
    facts[name] = value
  }
}
