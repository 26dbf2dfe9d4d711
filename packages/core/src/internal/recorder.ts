import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"
import type { SessionBusyError, SessionNotFoundError, SessionStoreError } from "../ClaudeError.js"
import type { Message } from "../Message.js"
import type { Turn, TurnOutcome } from "./turn.js"

/** Keeps a session's records, in the order of what happens. @internal */
export interface Recorder {
  /** Before the first process, and again after each pause: the right to write to the session, and its record. */
  readonly open: (sessionId: string) => Effect.Effect<void, SessionBusyError | SessionStoreError>
  /** Before the prompt is sent. */
  readonly begin: (
    sessionId: string,
    turn: Turn
  ) => Effect.Effect<void, SessionBusyError | SessionNotFoundError | SessionStoreError>
  /** Before the consumer has them. */
  readonly saw: (turn: Turn, messages: ReadonlyArray<Message>) => Effect.Effect<void>
  /** Before the consumer has the end. */
  readonly end: (turn: Turn, outcome: TurnOutcome) => Effect.Effect<void, SessionStoreError>
  /** The CLI has gone on to another session, as `/clear` makes it. */
  readonly moved: (from: string, to: string) => Effect.Effect<void>
  /** The session is closed. */
  readonly close: (sessionId: string) => Effect.Effect<void>
}

/** Keeps nothing. @internal */
export const none: Recorder = {
  open: () => Effect.void,
  begin: () => Effect.void,
  saw: () => Effect.void,
  end: () => Effect.void,
  moved: () => Effect.void,
  close: () => Effect.void
}

/** The records of the fiber's `SessionRepository`, where it has one. @internal */
export const resolve = (_options: QueryOptions): Effect.Effect<Recorder> => Effect.succeed(none)
