import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Request } from "../ControlProtocol.js"

/**
 * The process whose request a handler answers: for what a handler tells it beside the answer. One object for each
 * process, so that what is kept for a process can be kept by it.
 */
export class HostChannel extends Context.Reference<HostChannel>()("@ccflow/core/internal/HostChannel", {
  defaultValue: (): { readonly tell: (request: Request) => Effect.Effect<void> } => ({ tell: () => Effect.void })
}) {}
