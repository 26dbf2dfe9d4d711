import * as Predicate from "effect/Predicate"
import type { Frame, Step, Turn } from "../FakeCli.js"

/** A prompt that came in. @internal */
export interface Line {
  readonly uuid: string | undefined
  readonly content: unknown
}

/** @internal */
export interface Tool {
  readonly id: string
  readonly name: string
  readonly input: unknown
}

/** What a turn is made of; `/clear` has a step of its own. @internal */
export type Played = Step | { readonly _tag: "Clear" }

/**
 * A turn that is played: whom it answers, and what of it is still open.
 *
 * @internal
 */
export class FakeTurn {
  readonly steps: ReadonlyArray<Played>
  /** None in a turn that the CLI starts itself. */
  readonly lines: ReadonlyArray<Line>
  readonly origin: Readonly<Record<string, unknown>> | undefined
  /** Waited when a tool had ended, and were taken into the turn. */
  readonly folded: Array<Line> = []
  /** Lines to be repeated when the model begins to answer. */
  echoes: ReadonlyArray<Line>
  /** Tools that run, by id. */
  readonly tools = new Map<string, Tool>()
  /** Tools that were answered instead of the script. */
  readonly refused = new Set<string>()
  readonly denials: Array<unknown> = []
  /** Background work that ends with the turn. */
  readonly tasks: Array<{ readonly id: string; readonly steps: Turn }> = []
  /** What the model is in the middle of saying. */
  saying: { readonly id: string; readonly kind: "text" | "thinking"; content: string } | undefined
  /** The model has not said anything yet: its first frame names the lines that it answers. */
  first = true
  answered = false
  cut: "interrupt" | "SIGINT" | "deny" | undefined
  /** Its result is that nothing came of the prompts. The CLI does not count a limit of turns as that. */
  failed = false
  /** Ends before its last step. */
  over = false

  constructor(
    steps: ReadonlyArray<Played>,
    lines: ReadonlyArray<Line> = [],
    origin: Readonly<Record<string, unknown>> | undefined = undefined
  ) {
    this.steps = steps
    this.lines = lines
    this.echoes = lines
    this.origin = origin
  }

  /** Its prompts are told as cancelled. */
  get lost(): boolean {
    return this.failed || this.cut !== undefined
  }

  /** The tool that was called last and runs, by its name. */
  running(name: unknown): Tool | undefined {
    return [...this.tools.values()].findLast((tool) => tool.name === name)
  }

  /** Whether the frame says what became of a tool that has been answered already. */
  skips(frame: Frame): boolean {
    const ids = toolResults(frame)
    return ids.length > 0 && ids.every((id) => this.refused.has(id))
  }
}

/** What is known of a value from outside. @internal */
export const fieldsOf = (value: unknown): Readonly<Record<string, unknown>> => Predicate.isRecord(value) ? value : {}

/** The blocks of a message. @internal */
export const blocksOf = (frame: Frame): ReadonlyArray<Readonly<Record<string, unknown>>> => {
  const { content } = fieldsOf(frame["message"])
  return Array.isArray(content) ? content.map(fieldsOf) : []
}

/** The tools whose results the frame holds. @internal */
export const toolResults = (frame: Frame): ReadonlyArray<string> =>
  blocksOf(frame).flatMap((block) =>
    frame.type === "user" && block["type"] === "tool_result" ? [String(block["tool_use_id"])] : []
  )

/** The text of a prompt. @internal */
export const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : Array.isArray(content)
    ? content.map((block) => fieldsOf(block)["text"] ?? "").join("\n")
    : ""

/** @internal */
export const isClear = ({ content }: Line): boolean => textOf(content).trim() === "/clear"

/** @internal */
export const uuidsOf = (lines: ReadonlyArray<Line>): ReadonlyArray<string> =>
  lines.flatMap(({ uuid }) => uuid === undefined ? [] : [uuid])
