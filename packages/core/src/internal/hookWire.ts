import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { InvalidOptionsError } from "../ClaudeError.js"
import type * as ControlProtocol from "../ControlProtocol.js"
import { type HookEvent, type HookInput, inputs } from "../HookInput.js"
import type { Answer, HookOutput, Registration } from "../Hooks.js"
import { causeText } from "./causeText.js"
import { PatienceAboveZero } from "./policyOptions.js"
import { complaint } from "./schemaIssue.js"

/** The input of an event, checked; a failure says where it is not what we know. */
export const inputOf = <Event extends HookEvent>(
  event: Event,
  raw: unknown
): Either.Either<HookInput<Event>, HookFailure> =>
  Either.mapLeft(
    Schema.decodeUnknownEither(schemas[event])(told(raw)),
    (error) => new HookFailure({ message: `the input of ${event} is not what it was: ${complaint(error)}` })
  )

/** What keeps a handler from its answer, beside what is its own. */
export class HookFailure extends Data.Error<{ readonly message: string }> {}

/** The `hooks` of the `initialize` request. */
export const initializeOf = (registrations: ReadonlyArray<Registration>) => {
  const byEvent: Record<string, Array<unknown>> = {}
  registrations.forEach((registration, index) => {
    const { event, options: { matcher } } = registration
    const entries = byEvent[event] ??= []
    entries.push({
      matcher,
      hookCallbackIds: [idOf(index)],
      // Ours comes first, and says what happened.
      timeout: Math.ceil(Duration.toSeconds(timeoutOf(registration))) + 15,
      onFailure: blocks(registration) ? "block" : undefined
    })
  })
  return byEvent
}

/** Answers the CLI's callbacks. */
export const handlerOf = (registrations: ReadonlyArray<Registration>): ControlProtocol.Handler => {
  const byId = new Map(registrations.map((registration, index) => [idOf(index), registration]))
  return ({ callback_id: id, input }) => {
    const registration = byId.get(String(id))
    return registration === undefined
      ? Effect.fail({ error: `There is no hook ${String(id)}` })
      : answer(registration, input)
  }
}

export const conflictIn = (registrations: ReadonlyArray<Registration>): InvalidOptionsError | undefined => {
  for (const { event, options: { matcher, timeout } } of registrations) {
    if (!Object.hasOwn(inputs, event)) return invalid(event, "the CLI has no such event", "See HookInput for those.")
    if (matcher !== undefined && Either.isLeft(Either.try(() => new RegExp(matcher)))) {
      return invalid(`${event}.matcher`, "it is not a regular expression", "Name tools, as in \"Bash|Write\".")
    }
    if (timeout !== undefined && !Schema.is(PatienceAboveZero)(timeout)) {
      return invalid(
        `${event}.timeout`,
        "it must be a duration above 0",
        "Give milliseconds, or text such as \"1 minute\"."
      )
    }
  }
  return undefined
}

// ---------------------------------------------------------------------------

const invalid = (field: string, detail: string, hint: string) =>
  new InvalidOptionsError({ field: `hooks.${field}`, detail, hint })

const idOf = (index: number): string => `hook_${index}`

/** The events whose handler decides on a tool, or on what it costs. */
const gates: ReadonlySet<HookEvent> = new Set(["PreToolUse", "PermissionRequest", "PreModelSwitch"])

/** Not `Stop` and `SubagentStop`: to block those is to go on, perhaps for ever. */
const refusable: ReadonlySet<HookEvent> = new Set([
  "UserPromptSubmit",
  "UserPromptExpansion",
  "PostToolUse",
  "PostToolUseFailure",
  "PostToolBatch",
  "PreCompact",
  "ConfigChange"
])

const blocks = ({ event, options: { onFailure } }: Registration): boolean =>
  onFailure === undefined ? gates.has(event) : onFailure === "block"

/** No timer runs longer than this. */
const longest = Duration.days(20)

const timeoutOf = ({ options: { timeout = "60 seconds" } }: Registration): Duration.Duration =>
  Duration.min(Duration.decode(timeout), longest)

/** An error answer would let the tool run on a CLI that does not know `onFailure`. So there is none. */
const answer = (registration: Registration, input: unknown): Effect.Effect<Readonly<Record<string, unknown>>> => {
  const { event } = registration
  const duration = timeoutOf(registration)
  return Effect.suspend(() => registration.handle(input)).pipe(
    Effect.timeoutFail({
      duration,
      onTimeout: () => new HookFailure({ message: `it took longer than ${Duration.format(duration)}` })
    }),
    Effect.map((output) => encode(event, output, input)),
    Effect.catchAllCause((cause) => {
      const [meaning, told] = blocks(registration)
        ? ["it blocks", encode(event, refusal(event, `A ${event} hook failed: ${causeText(cause)}`), input)]
        : ["the CLI goes on without it", {}]
      return Effect.logWarning(`A hook failed, so ${meaning}`, cause).pipe(
        Effect.annotateLogs("hook", event),
        Effect.as(told)
      )
    })
  )
}

const refusal = (event: HookEvent, reason: string): HookOutput => ({
  answers: [gates.has(event) ? { _tag: "Deny", reason } : { _tag: refusable.has(event) ? "Block" : "Stop", reason }]
})

type Fields = Readonly<Record<string, unknown>>

const encode = (event: HookEvent, { answers }: HookOutput, input: unknown): Fields => {
  const parts = answers.map((part) => encodeOne(event, part, input))
  const top: Fields = Object.assign({}, ...parts.map(({ specific: _, ...fields }) => fields))
  const specific: Fields = Object.assign({}, ...parts.map((part) => part.specific))
  const contexts = parts.flatMap(({ specific }) => specific?.additionalContext ?? [])
  const given = top["hookSpecificOutput"]
  return Object.keys(specific).length === 0 ? top : {
    ...top,
    hookSpecificOutput: {
      hookEventName: event,
      ...specific,
      ...(contexts.length === 0 ? {} : { additionalContext: contexts.join("\n\n") }),
      ...(typeof given === "object" ? given : {})
    }
  }
}

interface Encoded extends Fields {
  readonly specific?: { readonly additionalContext?: string; readonly [field: string]: unknown }
}

const encodeOne = (event: HookEvent, answer: Answer, input: unknown): Encoded => {
  switch (answer._tag) {
    case "Allow":
    case "Deny":
    case "Ask":
      return permission(event, answer._tag.toLowerCase(), answer.reason)
    case "ChangeInput":
      return event === "PermissionRequest"
        ? { specific: { decision: { behavior: "allow", updatedInput: answer.input } } }
        : { specific: { updatedInput: answer.input } }
    case "ChangeResult": {
      const result = resultFor(input, answer.result)
      // The second is the older name, for tools of MCP servers alone.
      return { specific: { updatedToolOutput: result, updatedMCPToolOutput: result } }
    }
    case "Block":
      return event === "PreToolUse"
        ? permission(event, "deny", answer.reason)
        : { decision: "block", reason: answer.reason }
    case "AddContext":
      return { specific: { additionalContext: answer.text } }
    case "Stop":
      return { continue: false, stopReason: answer.reason }
    case "Fields":
      return answer.fields
  }
}

/** What is undefined is not written. */
const permission = (event: HookEvent, behavior: string, reason: string | undefined): Encoded =>
  event === "PermissionRequest"
    ? { specific: { decision: { behavior, message: behavior === "allow" ? undefined : reason } } }
    : { specific: { permissionDecision: behavior, permissionDecisionReason: reason } }

/** A tool of an MCP server gives blocks, and an older CLI fails on anything else. */
const resultFor = (input: unknown, result: unknown): unknown =>
  typeof result === "string" && Predicate.hasProperty(input, "tool_name") && String(input.tool_name).startsWith("mcp__")
    ? [{ type: "text", text: result }]
    : result

/** The fields by their names in camelCase, without those that say nothing; and as they are. */
const told = (raw: unknown): unknown => {
  if (typeof raw !== "object" || raw === null) return raw
  const given = Object.entries(raw).filter(([, value]) => value !== null)
  return { ...Object.fromEntries(given.map(([name, value]) => [camelCase(name), value])), raw }
}

const camelCase = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

const schemas: { readonly [Event in HookEvent]: Schema.Schema<HookInput<Event>> } = inputs
