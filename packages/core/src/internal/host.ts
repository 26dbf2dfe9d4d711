import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import type { QueryOptions } from "../AgentOptions.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import { ContextEncoder, type Encoded } from "../ContextEncoder.js"
import type { Handler, Handlers } from "../ControlProtocol.js"
import * as Hooks from "../Hooks.js"
import * as Permissions from "../Permissions.js"
import * as Tools from "../Tools.js"
import * as HookWire from "./hookWire.js"
import * as McpServer from "./mcpServer.js"
import * as PermissionWire from "./permissionWire.js"

/** What a program decides within the CLI's loop, as the control protocol needs it. */
export interface Host {
  /** Beside those of the options. */
  readonly args: ReadonlyArray<string>
  /** Fields of the `initialize` request, beside those of the options. */
  readonly initialize: Readonly<Record<string, unknown>>
  readonly handlers: Handlers
  /** The context of the options, as the model gets it. */
  readonly context?: Encoded | undefined
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

/** Who decides, all that there are. */
export interface Deciders {
  readonly permissions: Permissions.Handler | undefined
  readonly hooks: ReadonlyArray<Hooks.Registration>
  readonly toolSets: ReadonlyArray<Tools.ToolSet>
}

/** Decides nothing: the CLI does as its settings say. */
export const none: Host = { args: [], initialize: {}, handlers: {} }

/** Data for the model, encoded once for all that is sent of it. */
export const contextOf = (context: unknown): Effect.Effect<Encoded | undefined, InvalidOptionsError> =>
  context === undefined ? Effect.succeed(undefined) : Effect.flatMap(ContextEncoder, ({ encode }) => encode(context))

/** What the call gives, and what the fiber's references hold. */
export const decidersOf = (given: HostOptions): Effect.Effect<Deciders> =>
  Effect.withFiberRuntime(({ currentContext }) =>
    Effect.succeed({
      permissions: given.permissions ?? Context.get(currentContext, Permissions.Permissions),
      hooks: [...Context.get(currentContext, Hooks.Hooks), ...given.hooks ?? []],
      toolSets: [...Context.get(currentContext, Tools.Tools), ...given.toolSets ?? []]
    })
  )

/** As the control protocol needs them. The options are those of the query, all merged. */
export const resolve = (given: HostOptions, options: QueryOptions): Effect.Effect<Host, InvalidOptionsError> =>
  Effect.gen(function*() {
    const { hooks, permissions, toolSets } = yield* decidersOf(given)
    const context = yield* contextOf(options.context)
    if (permissions === undefined && hooks.length === 0 && toolSets.length === 0) {
      return context === undefined ? none : { ...none, context }
    }
    const conflict = (permissions === undefined ? undefined : shadowed(options)) ?? HookWire.conflictIn(hooks)
    if (conflict !== undefined) return yield* conflict
    const servers = yield* McpServer.make(toolSets, options)
    return {
      context,
      args: permissions === undefined ? [] : PermissionWire.args,
      initialize: {
        ...(hooks.length === 0 ? {} : { hooks: HookWire.initializeOf(hooks) }),
        ...(toolSets.length === 0 ? {} : { sdkMcpServers: toolSets.map(({ name }) => name) })
      },
      handlers: {
        ...(permissions === undefined ? {} : { can_use_tool: PermissionWire.handlerOf(permissions) }),
        ...(hooks.length === 0 ? {} : { hook_callback: HookWire.handlerOf(hooks) }),
        ...(toolSets.length === 0 ? {} : { mcp_message: servers })
      }
    }
  })

/** Handlers that say when they are asked, and when they have answered: the silence between is ours. */
export const heard = (handlers: Handlers, asked: () => void, answered: Effect.Effect<void>): Handlers =>
  Record.map(handlers, (handler): Handler => (request) =>
    Effect.suspend(() => {
      asked()
      return Effect.ensuring(handler(request), answered)
    }))

// ---------------------------------------------------------------------------

/** A handler that would never be asked is a mistake, and a dangerous one. */
const shadowed = (options: QueryOptions): InvalidOptionsError | undefined => {
  const { dangerouslySkipPermissions, permissionMode, permissionPromptTool, permissionPrompts } = options
  if (permissionPromptTool !== undefined || Object.hasOwn(options.extraArgs ?? {}, "permission-prompt-tool")) {
    return shadow("permissionPromptTool", "it would be asked in place of the permission handler")
  }
  if (permissionPrompts === "none") return shadow("permissionPrompts", "\"none\" asks nobody")
  if (permissionMode === "bypassPermissions" || permissionMode === "dontAsk") {
    return shadow("permissionMode", `"${permissionMode}" asks nobody`)
  }
  if (dangerouslySkipPermissions === true) return shadow("dangerouslySkipPermissions", "nobody is asked then")
  return undefined
}

const shadow = (field: string, detail: string) =>
  new InvalidOptionsError({
    field,
    detail: `there is a permission handler, and ${detail}`,
    hint: "Leave one of the two out. Permissions.layerNoop takes the handler away for a part of the program."
  })
