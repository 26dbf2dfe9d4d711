import type { Handlers } from "../ControlProtocol.js"

/** What a program decides within the CLI's loop, as the control protocol needs it. @internal */
export interface Host {
  /** Beside those of the options. */
  readonly args: ReadonlyArray<string>
  /** Fields of the `initialize` request, beside those of the options. */
  readonly initialize: Readonly<Record<string, unknown>>
  readonly handlers: Handlers
}

/** Decides nothing: the CLI does as its settings say. @internal */
export const none: Host = { args: [], initialize: {}, handlers: {} }
