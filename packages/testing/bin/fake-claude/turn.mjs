// A turn of the script: what it waits for, and how it is stopped.
import { Turn } from "../../src/internal/protocol/turn.mjs"
import { dialogue } from "./session.mjs"
import { state } from "./state.mjs"

/** What a stopped turn fails with. */
export const ABORTED = Symbol("aborted")

export class ScriptTurn extends Turn {
  index = state.turns
  n = 0

  constructor(lines, { origin, ...more } = {}) {
    super(lines, origin)
    Object.assign(this, more)
    this.stopped = new Promise((_, reject) => this.reject = reject)
    this.stopped.catch(() => {})
  }
  stop(how) {
    super.stop(how)
    this.reject(ABORTED)
  }
}
/** For steps that run beside the turns; their placeholders are those of the turn that runs. */
export const aside = (more) => new ScriptTurn(dialogue.turn?.lines ?? [], more)

export const race = (turn, promise) => promise && Promise.race([promise, turn.stopped])

export const ask = (turn, request) => race(turn, new Promise((tell) => dialogue.questions.ask(request, tell)))

/** Plays what yields what it waits for. */
export const drive = async (steps, wait) => {
  let step = steps.next()
  while (!step.done) step = steps.next(await wait(step.value))
}
