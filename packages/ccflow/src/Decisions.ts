/**
 * What a program decides within the CLI's loop, by functions: permissions, hooks and tools. Each may be async, gets a
 * signal that aborts when nobody waits for it any more, and fails by throwing.
 */
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { type HookEvent, type HookInput, inputs } from "@ccflow/core/HookInput"
import * as Hooks from "@ccflow/core/Hooks"
import * as Permissions from "@ccflow/core/Permissions"
import * as Tools from "@ccflow/core/Tools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import { wrongIn } from "./internal/given.js"
import { invalidOption } from "./internal/invalidOption.js"

/** What a handler is told beside what it decides on. */
export interface Asked {
  /** Aborts when the question is withdrawn, or the turn is over. */
  readonly signal: AbortSignal
}

/** Decides on one use of a tool, by `allow()`, `deny(why)` or `pass`. What it throws denies, and the model is told. */
export type PermissionHandler = (
  request: Permissions.PermissionRequest,
  asked: Asked
) => Permissions.Decision | Promise<Permissions.Decision>

/** Something to do at an event. Its answers are those of `HookOutput`; nothing means: go on. */
export interface HookRegistration<Event extends HookEvent> extends Hooks.HookOptions {
  readonly handler: (
    input: HookInput<Event>,
    asked: Asked
  ) => Hooks.OutputOf<Event> | void | Promise<Hooks.OutputOf<Event> | void>
}

/** By event, such as `PreToolUse`. */
export type HookTable = { readonly [Event in HookEvent]?: ReadonlyArray<HookRegistration<Event>> | undefined }

/** What a call, a session or a client can be given. */
export interface DecisionOptions {
  /** Decides on tools that no rule allows or denies. That of a call stands in for that of its client. */
  readonly permissions?: PermissionHandler | undefined
  /** Those of a call run beside those of its client. */
  readonly hooks?: HookTable | undefined
  /** Tools of the program. Those of a call stand beside those of its client. */
  readonly toolSets?: ReadonlyArray<Tools.ToolSet> | undefined
}

/** One use of a tool, as its handler sees it. */
export interface ToolCall extends Asked {
  /** Joins the call with the `ToolUse` and `ToolResult` messages. Absent where the CLI does not say. */
  readonly toolUseId: string | undefined
  /** Tells the CLI how far the work is. Says nothing where the CLI has not asked to be told. */
  readonly progress: (done: number, total?: number, message?: string) => void
}

/** How a tool is made. */
export interface ToolOptions<A, I> extends Omit<Parameters<typeof Tools.tool<A, I>>[0], "handler"> {
  /** Gives text, `content(…)`, or a value that is written as JSON. What it throws is told to the model. */
  readonly handler: (input: A, call: ToolCall) => unknown
}

/** A tool for the model. Arguments that do not fit the schema never reach the handler: the model is told what is wrong. */
export const tool = <A, I>({ handler, ...options }: ToolOptions<A, I>): Tools.Tool =>
  Tools.tool({
    ...options,
    handler: (input, { progress, toolUseId }) =>
      Effect.flatMap(Effect.runtime(), (runtime) =>
        settled((signal) =>
          handler(input, {
            signal,
            toolUseId,
            progress: (done, total, message) => void Runtime.runFork(runtime)(progress(done, total, message))
          })
        ))
  })

/** Options with functions, as the services take them. */
export const resolve = <Options extends DecisionOptions>(options: Options) =>
  Effect.map(decided(options), (decisions) => {
    const { hooks, permissions, toolSets, ...given } = options
    return { ...given, ...decisions }
  })

/** Those of a client, for all its calls. */
export const layer = (options: DecisionOptions): Layer.Layer<never, InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.map(decided(options), ({ hooks, permissions, toolSets }) =>
    Layer.mergeAll(
      permissions === undefined ? Layer.empty : Permissions.layer(permissions),
      Hooks.layer(hooks),
      Tools.layer(toolSets)
    )))

// ---------------------------------------------------------------------------

const decided = (options: DecisionOptions) =>
  Effect.gen(function*() {
    const wrong = wrongIn(options)
    if (wrong !== undefined) return yield* wrong
    const { hooks = {}, permissions, toolSets = [] } = options
    if (!Predicate.isRecord(hooks)) return yield* invalid("hooks", "it must be an object, with lists by event")
    if (!Array.isArray(toolSets) || toolSets.some((set) => !Array.isArray(set?.tools))) {
      return yield* invalid("toolSets", "it must be a list of what toolSet() gives")
    }
    if (permissions !== undefined && typeof permissions !== "function") {
      return yield* invalid("permissions", "it must be a function of the request")
    }
    return {
      permissions: permissions === undefined ? undefined : handlerOf(permissions),
      hooks: yield* registrations(hooks),
      toolSets
    }
  })

const handlerOf = (decide: PermissionHandler): Permissions.Handler => (request) =>
  settled((signal) => decide(request, { signal }))

const registrations = (table: HookTable): Effect.Effect<ReadonlyArray<Hooks.Registration>, InvalidOptionsError> =>
  Effect.map(
    Effect.forEach(Object.entries(table), ([event, hooks]) => {
      if (hooks === undefined) return Effect.succeed([])
      if (!isEvent(event)) return invalid(`hooks.${event}`, "there is no such event")
      return Array.isArray(hooks) && hooks.every((hook) => typeof hook?.handler === "function")
        ? Effect.succeed(ofEvent(event, table))
        : invalid(`hooks.${event}`, "it must be a list of hooks, each with a handler")
    }),
    (all) => all.flat()
  )

const isEvent = (name: string): name is HookEvent => Object.hasOwn(inputs, name)

const ofEvent = <Event extends HookEvent>(event: Event, table: HookTable): ReadonlyArray<Hooks.Registration> => {
  const hooks: ReadonlyArray<HookRegistration<Event>> = table[event] ?? []
  return hooks.map(({ handler, ...options }) =>
    Hooks.on(event, options, (input) =>
      Effect.map(
        settled(async (signal) => handler(input, { signal })),
        (output) => output ?? Hooks.proceed
      ))
  )
}

/** A function's value, or what it threw. */
const settled = <A>(run: (signal: AbortSignal) => A | Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: async (signal) => run(signal), catch: (error) => error })

const invalid = (field: string, detail: string): InvalidOptionsError =>
  invalidOption(field, detail, "See DecisionOptions.")
