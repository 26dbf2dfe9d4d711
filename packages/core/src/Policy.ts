/**
 * What the policies have in common. A policy is put around the stream of a query, or of a session's turn, and decides
 * when it is let through, how long it may take and whether it is made again.
 */
import type * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Hash from "effect/Hash"
import type * as Stream from "effect/Stream"
import type { QueryOptions } from "./AgentOptions.js"
import type { Prompt } from "./Claude.js"
import type { ClaudeError } from "./ClaudeError.js"
import type { Message } from "./Message.js"

/** What is being asked, and of whom. */
export interface Call {
  /** The same in all its attempts, and in all events of it. */
  readonly id: string
  readonly prompt: Prompt
  /** The call's over the client's over the environment's. */
  readonly options: QueryOptions
  readonly target: Target
  /** Waits, unless the caller interrupts meanwhile: then it fails, because the call was given up before it had begun. */
  readonly wait: Wait
}

/** Who answers, as far as that is known before it is asked. What is counted is counted by these. */
export interface Target {
  /** The command or path of the CLI. */
  readonly cli: string
  /** Empty for the user's own login. It holds no secret. */
  readonly account: string
  /** Empty where the CLI chooses. */
  readonly model: string
}

export type Wait = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | ClaudeError, R>

export interface Policy {
  readonly around: (
    call: Call
  ) => (messages: Stream.Stream<Message, ClaudeError>) => Stream.Stream<Message, ClaudeError>
}

/** Lets everything through as it is. */
export const noop: Policy = { around: () => identity }

export const targetOf = (options: QueryOptions): Target => ({
  cli: options.cliPath ?? "claude",
  account: accountOf(options.env ?? {}),
  model: options.model ?? ""
})

// ---------------------------------------------------------------------------

/** Two keys are two accounts; which ones is nobody's business. */
const accountOf = (env: Readonly<Record<string, string | undefined>>): string => {
  const said = credentials.flatMap((name) => env[name] === undefined ? [] : [`${name}=${env[name]}`])
  return said.length === 0 ? "" : `#${(Hash.string(said.join("\n")) >>> 0).toString(16)}`
}

const credentials = [
  "CLAUDE_CONFIG_DIR",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_BASE_URL"
]
