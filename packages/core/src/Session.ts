/**
 * A conversation of many turns with one warm CLI process, so that only the first turn waits for a start. When the process
 * is gone, because it was idle, old, killed or crashed, the next turn comes back by `--resume`, and the caller does not
 * notice.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { Claude, type Prompt, toPull } from "./Claude.js"
import type { ClaudeError, InvalidOptionsError } from "./ClaudeError.js"
import { lastAnswer } from "./internal/answer.js"
import type { Message, Result } from "./Message.js"
import type { SessionControl } from "./SessionControl.js"
import type { SessionOptions, TurnOptions } from "./SessionOptions.js"

export type { Lifetime, SessionOptions, TurnOptions } from "./SessionOptions.js"

/** What a session has come to. */
export interface SessionStats {
  /** Turns that ended well, interrupted ones included. */
  readonly turns: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** With what the CLI did of itself between the turns. */
  readonly costUsd: number
  readonly durationMs: number
}

export interface Session extends SessionControl {
  /** Chosen before the first turn. `/clear` makes the CLI go on under another one. Empty where only the CLI knows yet. */
  readonly id: Effect.Effect<string>
  /**
   * One turn: the messages that answer this prompt, and no others. Turns run one after the other, in the order in which
   * their streams were started. Leaving a stream before its end interrupts the turn, and the session stays. A stream that
   * is read slowly slows the CLI when 16,384 messages, or 16 MiB of output, wait to be taken.
   */
  readonly send: (prompt: Prompt, options?: TurnOptions) => Stream.Stream<Message, ClaudeError>
  /**
   * Puts a message into the turn that runs. While a tool runs the model gets it with the tool's result; else it is
   * answered after what is being said, in the same stream. False when no turn runs: then nothing was sent.
   */
  readonly steer: (prompt: Prompt) => Effect.Effect<boolean, InvalidOptionsError>
  /** Ends the turn that runs: its stream ends well, with a `Result` that is `interrupted` and has what there was. */
  readonly interrupt: Effect.Effect<void>
  /** Starts the process now, so that the first turn does not wait for it. */
  readonly prewarm: Effect.Effect<void, ClaudeError>
  /** A new session with this one's history, from now on apart. Its options are this one's, and those given. */
  readonly fork: (options?: SessionOptions) => Effect.Effect<Session, ClaudeError, Scope.Scope>
  /**
   * What belongs to no turn: news of background work, and turns that the CLI starts itself. What nobody takes is lost. For
   * one who takes it slowly the last 1024 messages are kept, of at most 16 MiB of output.
   */
  readonly background: Stream.Stream<Message>
  readonly stats: Effect.Effect<SessionStats>
  /** Interrupts what runs, closes the process, and takes no more turns. Safe to repeat. */
  readonly close: Effect.Effect<SessionStats>
}

/** A session of its own, closed with the scope. Nothing is started before it is needed. */
export const make = (options?: SessionOptions): Effect.Effect<Session, ClaudeError, Claude | Scope.Scope> =>
  Effect.flatMap(Claude, (claude) => claude.session(options))

/** Sends and waits for the turn's result. */
export const result = (session: Session, prompt: Prompt, options?: TurnOptions): Effect.Effect<Result, ClaudeError> =>
  Effect.scoped(Effect.flatMap(toPull(session.send(prompt, options)), (pull) => lastAnswer(pull)))

/** Sends and waits for the answer's text. */
export const text = (session: Session, prompt: Prompt, options?: TurnOptions): Effect.Effect<string, ClaudeError> =>
  Effect.map(result(session, prompt, options), (answer) => answer.result)
