import * as Effect from "effect/Effect"
import type { Frame, Step, Turn as Script } from "../FakeCli.js"
import { toolResults, Turn } from "./protocol/turn.mjs"
import type { Fields, Line, Tool } from "./protocol/types.js"

/** What a turn is made of; `/clear` has a step of its own. */
export type Played = Step | { readonly _tag: "Clear" }

/** A turn that is played from a script. */
export class FakeTurn extends Turn {
  readonly steps: ReadonlyArray<Played>
  /** Background work that ends with the turn. */
  readonly tasks: Array<{ readonly id: string; readonly steps: Script }> = []
  /** Ends before its last step. */
  over = false

  constructor(steps: ReadonlyArray<Played>, lines: ReadonlyArray<Line> = [], origin?: Fields) {
    super(lines, origin)
    this.steps = steps
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

/** Plays what yields what it waits for. */
export const drive = <Asked, Told>(
  begin: () => Generator<Asked, void, Told>,
  wait: (asked: Asked) => Effect.Effect<Told>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const steps = begin()
    let step = steps.next()
    while (step.done !== true) step = steps.next(yield* wait(step.value))
  })
