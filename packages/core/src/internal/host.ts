import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"
import type { InvalidOptionsError } from "../ClaudeError.js"
import type { Handlers } from "../ControlProtocol.js"
import * as Hooks from "../Hooks.js"
import * as Permissions from "../Permissions.js"
import * as Tools from "../Tools.js"

/** What a program decides within the CLI's loop, as the control protocol needs it. @internal */
export interface Host {
  /** Beside those of the options. */
  readonly args: ReadonlyArray<string>
  /** Fields of the `initialize` request, beside those of the options. */
  readonly initialize: Readonly<Record<string, unknown>>
  readonly handlers: Handlers
}

/** What a call gives of it. */
export interface HostOptions {
  /** Decides on tools that no rule allows or denies. It wins over the one of the `Permissions` reference. */
  readonly permissions?: Permissions.Handler | undefined
  /** Beside those of the `Hooks` reference. */
  readonly hooks?: ReadonlyArray<Hooks.Registration> | undefined
  /** Beside those of the `Tools` reference. */
  readonly toolSets?: ReadonlyArray<Tools.ToolSet> | undefined
}

/** Decides nothing: the CLI does as its settings say. @internal */
export const none: Host = { args: [], initialize: {}, handlers: {} }

/** What the call gives, and what the fiber's references hold. The options are those of the query, all merged. @internal */
export const resolve = (given: HostOptions, _options: QueryOptions): Effect.Effect<Host, InvalidOptionsError> =>
  Effect.gen(function*() {
    const permissions = given.permissions ?? (yield* Permissions.Permissions)
    const hooks = [...yield* Hooks.Hooks, ...given.hooks ?? []]
    const toolSets = [...yield* Tools.Tools, ...given.toolSets ?? []]
    if (permissions === undefined && hooks.length === 0 && toolSets.length === 0) return none
    return none
  })
