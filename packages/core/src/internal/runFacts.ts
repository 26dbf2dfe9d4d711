import * as Schema from "effect/Schema"

/** What is known of the CLI's run when it failed. `argv` never holds prompts, tokens, headers or environment values. */
export const RunFacts = Schema.Struct({
  /** `null` when a signal ended the process, or when it had to be killed. */
  exitCode: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String),
  argv: Schema.Array(Schema.String),
  /** The last 64 KiB of stderr at the most. */
  stderrTail: Schema.String,
  /** Empty when the CLI failed before it named its session. */
  sessionId: Schema.String,
  /** Lines the CLI had printed that were frames of its protocol. */
  frames: Schema.Int
})
export type RunFacts = typeof RunFacts.Type
