/**
 * What a program does at points of the CLI's loop: before a tool runs and after it, on a prompt, at the end of a turn.
 *
 * All hooks of an event run at the same time. A handler that fails, dies or takes too long keeps a tool from running
 * unless its registration says `onFailure: "continue"`; at other events it lets the CLI go on unless it says `"block"`.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { HookEvent, HookInput } from "./HookInput.js"
import { inputOf } from "./internal/hookWire.js"

/** One thing that a hook answers. */
export type Answer =
  | { readonly _tag: "Allow"; readonly reason: string | undefined }
  | { readonly _tag: "Deny"; readonly reason: string }
  | { readonly _tag: "Ask"; readonly reason: string | undefined }
  | { readonly _tag: "ChangeInput"; readonly input: Readonly<Record<string, unknown>> }
  | { readonly _tag: "ChangeResult"; readonly result: unknown }
  | { readonly _tag: "Block"; readonly reason: string }
  | { readonly _tag: "AddContext"; readonly text: string }
  | { readonly _tag: "Stop"; readonly reason: string }
  | { readonly _tag: "Fields"; readonly fields: Readonly<Record<string, unknown>> }

type Named<Tag extends Answer["_tag"]> = Extract<Answer, { readonly _tag: Tag }>

/** What a hook answers: none, one or several things, made by the constructors of this module, joined by `combine`. */
export interface HookOutput<out A extends Answer = Answer> {
  readonly answers: ReadonlyArray<A>
}

type Everywhere = "Stop" | "Fields"

interface Taken {
  readonly PreToolUse: "Allow" | "Deny" | "Ask" | "ChangeInput" | "Block" | "AddContext"
  readonly PermissionRequest: "Allow" | "Deny" | "ChangeInput"
  readonly PreModelSwitch: "Allow" | "Deny" | "Ask"
  readonly PostToolUse: "Block" | "AddContext" | "ChangeResult"
  readonly PostToolUseFailure: "Block" | "AddContext"
  readonly PostToolBatch: "Block" | "AddContext"
  readonly UserPromptSubmit: "Block" | "AddContext"
  readonly UserPromptExpansion: "Block" | "AddContext"
  readonly Stop: "Block" | "AddContext"
  readonly SubagentStart: "AddContext"
  readonly SubagentStop: "Block" | "AddContext"
  readonly PreCompact: "Block"
  readonly ConfigChange: "Block"
  readonly SessionStart: "AddContext"
  readonly Setup: "AddContext"
  readonly Notification: "AddContext"
  readonly PostModelSwitch: "AddContext"
}

/** What an event can take for an answer. */
export type OutputOf<Event extends HookEvent> = HookOutput<
  Named<Everywhere | (Event extends keyof Taken ? Taken[Event] : never)>
>

/** How a hook is registered. */
export interface HookOptions {
  /**
   * Which tools it is for, as the CLI matches: a regular expression over the tool's name such as `Bash|Write`. For events
   * without a tool it is matched with their kind, such as the `trigger` of `PreCompact`. Left out: all.
   */
  readonly matcher?: string | undefined
  /** After which the handler is interrupted and has failed. Default: 60 seconds. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * What a failed handler means. `block` keeps the tool from running, refuses the prompt, or ends the turn where the event
   * has nothing to refuse. Default: `block` before tools run, else `continue`.
   */
  readonly onFailure?: "block" | "continue" | undefined
}

/** A handler for an event. Made by `on`. */
export interface Registration<out R = never> {
  readonly event: HookEvent
  readonly options: HookOptions
  /** Takes the input as the CLI sends it. */
  readonly handle: (raw: unknown) => Effect.Effect<HookOutput, unknown, R>
}

/** The hooks of all queries of a fiber and its children, beside those of the call. */
export class Hooks extends Context.Reference<Hooks>()("@ccflow/core/Hooks", {
  defaultValue: (): ReadonlyArray<Registration> => []
}) {}

/** Handlers that may need services: those of the place where the layer is built. */
export const layer = <R = never>(registrations: ReadonlyArray<Registration<R>>): Layer.Layer<Hooks, never, R> =>
  Layer.effect(Hooks, Effect.forEach(registrations, withContext))

/** No hooks but those of a call. */
export const layerNoop: Layer.Layer<Hooks> = Layer.succeed(Hooks, [])

/**
 * Does something at an event. Seen to reach a program, on 2.1.330 as on 2.1.197: `UserPromptSubmit`,
 * `UserPromptExpansion`, `PreToolUse`, `PostToolUse`, `PostToolUseFailure`, `PostToolBatch`, `PermissionRequest`,
 * `SubagentStart`, `SubagentStop`, `MessageDisplay`, `Stop`, `StopFailure`, `PreCompact`, `PostCompact`, and
 * `SessionStart` after a compaction. The start and the end of the session itself do not, whatever is registered.
 *
 * `PermissionRequest` runs beside the permission handler, and the first answer counts. 2.1.197 has it only where there is
 * a permission handler.
 */
export const on: {
  <Event extends HookEvent, R = never>(
    event: Event,
    handler: (input: HookInput<Event>) => Effect.Effect<OutputOf<Event>, unknown, R>
  ): Registration<R>
  <Event extends HookEvent, R = never>(
    event: Event,
    options: HookOptions,
    handler: (input: HookInput<Event>) => Effect.Effect<OutputOf<Event>, unknown, R>
  ): Registration<R>
} = <Event extends HookEvent, R>(
  event: Event,
  ...given: readonly [Handle<Event, R>] | readonly [HookOptions, Handle<Event, R>]
): Registration<R> => {
  const [options, handler] = given.length === 1 ? [{}, given[0]] : given
  return {
    event,
    options,
    handle: (raw) =>
      Effect.flatMap(inputOf(event, raw), (input): Effect.Effect<HookOutput, unknown, R> => handler(input))
  }
}

/** A registration whose handler has its services, as the options of a call want it. */
export const withContext = <R>(registration: Registration<R>): Effect.Effect<Registration, never, R> =>
  Effect.map(Effect.context<R>(), (context) => ({
    ...registration,
    handle: (raw) => Effect.provide(registration.handle(raw), context)
  }))

/** Nothing to say: the CLI goes on as without the hook. */
export const proceed: HookOutput<never> = { answers: [] }

/** The tool may run without anybody being asked. Rules that deny still hold. */
export const allow = (reason?: string): HookOutput<Named<"Allow">> => output({ _tag: "Allow", reason })

/** The tool does not run; the model is told why. */
export const deny = (reason: string): HookOutput<Named<"Deny">> => output({ _tag: "Deny", reason })

/** The permission handler, or the user, is asked, though a rule may allow it. */
export const ask = (reason?: string): HookOutput<Named<"Ask">> => output({ _tag: "Ask", reason })

/** The tool runs with this input. */
export const changeInput = (input: Readonly<Record<string, unknown>>): HookOutput<Named<"ChangeInput">> =>
  output({ _tag: "ChangeInput", input })

/**
 * The model sees this in place of what the tool gave. For a tool of an MCP server it is text, or a list of blocks; for the
 * CLI's own it has the shape of `toolResponse`.
 */
export const changeResult = (result: unknown): HookOutput<Named<"ChangeResult">> =>
  output({ _tag: "ChangeResult", result })

/**
 * Refuses what the event is about: the tool's use, the prompt, the compaction. After a tool the model is told the reason;
 * at `Stop` and `SubagentStop` it must go on, with the reason for a task, so look at `stopHookActive`.
 */
export const block = (reason: string): HookOutput<Named<"Block">> => output({ _tag: "Block", reason })

/** The model reads this, too. */
export const addContext = (text: string): HookOutput<Named<"AddContext">> => output({ _tag: "AddContext", text })

/** Ends the turn; its result is then empty and not an error. */
export const stop = (reason: string): HookOutput<Named<"Stop">> => output({ _tag: "Stop", reason })

/** Fields of the answer that have no constructor here, such as `{ suppressOutput: true }`, as the CLI takes them. */
export const fields = (given: Readonly<Record<string, unknown>>): HookOutput<Named<"Fields">> =>
  output({ _tag: "Fields", fields: given })

/** All of these answers. */
export const combine = <const Outputs extends ReadonlyArray<HookOutput>>(
  ...outputs: Outputs
): HookOutput<Outputs[number]["answers"][number]> => ({ answers: outputs.flatMap(({ answers }) => answers) })

// ---------------------------------------------------------------------------

type Handle<Event extends HookEvent, R> = (input: HookInput<Event>) => Effect.Effect<OutputOf<Event>, unknown, R>

const output = <A extends Answer>(answer: A): HookOutput<A> => ({ answers: [answer] })
