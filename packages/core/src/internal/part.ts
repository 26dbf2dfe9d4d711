import * as Context from "effect/Context"
import type { Open } from "./streamed.js"

/** A call that is told of already, which the query of a fallback goes on with. */
export interface JoinedCall {
  readonly id: string
  /** It is under a budget, which what goes on with it spends as well. */
  readonly budgeted: boolean
}

/** What takes over where a query cannot answer. */
export interface Standby {
  readonly around: (call: JoinedCall) => (open: Open) => Open
  /** What takes over where that cannot either. */
  readonly outer: Standby | undefined
  /** The query does it by itself, once. */
  taken: boolean
}

/**
 * What a query is a part of, where it does not stand alone: so that whoever asks two, one after the other, is seen to
 * have made one call. It is there for the query itself, and for nothing that is done within its run.
 */
export class CurrentPart extends Context.Reference<CurrentPart>()("@ccflow/core/internal/CurrentPart", {
  defaultValue: (): Part => alone
}) {}

export interface Part {
  readonly joined: JoinedCall | undefined
  readonly standby: Standby | undefined
}

export const alone: Part = { joined: undefined, standby: undefined }

/** The run, with those around it who take over. */
export const falling = (standby: Standby | undefined, call: JoinedCall) => (open: Open): Open => {
  if (standby === undefined || standby.taken) return open
  standby.taken = true
  return falling(standby.outer, call)(standby.around(call)(open))
}
