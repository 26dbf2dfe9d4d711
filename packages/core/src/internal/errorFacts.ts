import * as Records from "effect/Record"
import * as Struct from "effect/Struct"
import type { ClaudeError } from "../ClaudeError.js"

/**
 * What of an error may be written where others read along: its tag, and facts that are words or numbers of ours, of the
 * API or of the system. Never its text, which may repeat what the model or the CLI has said.
 */
export const errorFacts = (error: ClaudeError): Readonly<Record<string, string | number>> => {
  const process = "facts" in error ? error.facts : undefined
  const values: Readonly<Record<string, unknown>> = { ...error, exitCode: process?.exitCode, signal: process?.signal }
  return Records.filter(Struct.pick(values, ...told, "exitCode", "signal"), isFact)
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
const isFact = (value: unknown): value is string | number =>
  typeof value === "number" || (typeof value === "string" && value !== "" && value.length <= 64)
