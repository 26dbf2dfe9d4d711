import type { Frame } from "../../FakeCli.js"

export type Fields = Readonly<Record<string, unknown>>

/** A prompt that came in. */
export interface Line {
  readonly uuid: string | undefined
  readonly content: unknown
}

export interface Tool {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/** What the model says in one message. */
export interface Saying {
  readonly id: string
  readonly kind: "text" | "thinking"
  content: string
}

export type Cut = "interrupt" | "SIGINT" | "deny"

/** What the program said to a request; `error` when it refused. */
export interface Answer {
  readonly response: Fields
  readonly error: string | undefined
}

/** What each fake has of its own: ids, what is kept of a conversation, and what it costs. */
export interface Kept {
  /** What it calls the place it runs in, beside the model and the like. */
  readonly surroundings: Fields
  readonly models: ReadonlyArray<{ readonly value: string; readonly resolvedModel: string }>
  readonly account: Fields
  readonly contextWindow: number
  newId(): string
  /** What is on every frame but those of the control protocol. */
  mark(frame: Frame): Fields
  /** Whether the conversation had this prompt before. */
  knows(uuid: string): boolean
  remember(lines: ReadonlyArray<Line>): void
  /** A new conversation in the same process. */
  clear(): void
  tokensOf(lines: ReadonlyArray<Line>): number
  /** The tokens that this comes to, which the model has said. */
  spend(lines: ReadonlyArray<Line>, said: string): number
  /** The figures of a result. `billed`: it is the price of an answer, and not of what was done without the model. */
  bill(said: Fields, billed: boolean): Fields
}
