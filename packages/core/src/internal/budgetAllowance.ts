import * as Context from "effect/Context"
import type { QueryOptions } from "../AgentOptions.js"
import type { Message } from "../Message.js"
import type { Parser } from "../MessageParser.js"

/** What a budget leaves to a run, and how it sees what the run is spending. */
export interface Allowance {
  /** US dollars. */
  readonly usd: number
  /** Messages where they are read, of so many bytes: before what they cost is booked, and before anyone else has them. */
  readonly see: (messages: ReadonlyArray<Message>, unfinished: Parser["unfinished"], bytes: number) => void
}

export class CurrentAllowance extends Context.Reference<CurrentAllowance>()("@ccflow/core/CurrentAllowance", {
  defaultValue: (): Allowance | undefined => undefined
}) {}

/** The options of a run that the CLI itself is to end when that is spent, or what was asked for. */
export const limited = (options: QueryOptions, allowance: Allowance | undefined): QueryOptions => {
  const { maxBudgetUsd = Infinity } = options
  return allowance === undefined || allowance.usd >= maxBudgetUsd
    ? options
    : { ...options, maxBudgetUsd: written(allowance.usd) }
}

// ---------------------------------------------------------------------------

/** Not so small that it would be written with an exponent, nor 0, which the CLI takes for a mistake. */
const written = (usd: number): number => Math.max(1, Math.ceil(usd * 1e6)) / 1e6
