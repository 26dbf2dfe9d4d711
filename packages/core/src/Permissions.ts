/**
 * Who decides on a tool that no rule of the CLI allows or denies: a handler of the program, asked within the CLI's loop.
 *
 * Only what would have to be asked gets here. What `allowedTools`, settings or the CLI itself allow (reading a file of the
 * project, say) runs without: to see every use of a tool take a `PreToolUse` hook.
 */
import type * as Terminal from "@effect/platform/Terminal"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { InvalidOptionsError } from "./ClaudeError.js"
import type { Request } from "./ControlProtocol.js"
import * as TerminalPrompt from "./internal/terminalPrompt.js"
import * as UserQuestions from "./internal/userQuestions.js"

/** A change to the CLI's rules, as it suggests and takes them: `type` says which, `destination` for how long. */
export interface PermissionUpdate {
  readonly type: string
  /** `session` is forgotten with the session; the others are settings files. */
  readonly destination?: string | undefined
  readonly [field: string]: unknown
}

/** What the CLI asks. */
export interface PermissionRequest {
  readonly tool: string
  readonly input: Readonly<Record<string, unknown>>
  readonly toolUseId: string
  /** The subagent that wants to use the tool; absent on the main thread. */
  readonly agentId?: string | undefined
  /** What the CLI would remember, were it told "always". Hand one on by `allow({ rules })`. */
  readonly suggestions: ReadonlyArray<PermissionUpdate>
  /** The path that made the CLI ask. */
  readonly blockedPath?: string | undefined
  /** Why it asks, in its own words. */
  readonly reason?: string | undefined
  readonly title?: string | undefined
  readonly displayName?: string | undefined
  readonly description?: string | undefined
  readonly mcpServer?: { readonly name: string; readonly source?: string | undefined } | undefined
  /** The answer itself is wanted and not only a yes: `AskUserQuestion`, `ExitPlanMode`. */
  readonly requiresUserInteraction: boolean
  /** As the CLI sent it. */
  readonly raw: Request
}

/** Made by `allow`, `deny` and `pass`. */
export type Decision =
  | {
    readonly _tag: "Allow"
    readonly input?: Readonly<Record<string, unknown>> | undefined
    readonly rules?: ReadonlyArray<PermissionUpdate> | undefined
  }
  | { readonly _tag: "Deny"; readonly message: string; readonly interrupt?: boolean | undefined }
  | { readonly _tag: "Pass" }

/**
 * Decides on one use of a tool. A failure or a defect denies, and the model is told its message. It is interrupted when
 * the CLI withdraws the question; the CLI itself waits as long as it takes.
 */
export type Handler<R = never> = (request: PermissionRequest) => Effect.Effect<Decision, unknown, R>

/** A question of the model to its user, as `AskUserQuestion` has them. */
export interface Question {
  readonly question: string
  readonly header: string
  readonly options: ReadonlyArray<{ readonly label: string; readonly description: string }>
  /** Whether several options may be chosen. */
  readonly multiSelect: boolean
}

/** The handler for all queries of a fiber and its children that have none of their own. */
export class Permissions extends Context.Reference<Permissions>()("@ccflow/core/Permissions", {
  defaultValue: (): Handler | undefined => undefined
}) {}

/** A handler that may need services: those of the place where the layer is built. */
export const layer = <R>(handler: Handler<R>): Layer.Layer<Permissions, never, R> =>
  Layer.effect(
    Permissions,
    Effect.map(
      Effect.context<R>(),
      (context): Handler => (request) => Effect.provide(Effect.suspend(() => handler(request)), context)
    )
  )

/** Nobody is asked: what no rule allows is denied by the CLI, as in a query without a handler. */
export const layerNoop: Layer.Layer<Permissions> = Layer.succeed(Permissions, undefined)

/** Allows these tools and denies the rest. See `allowing` for the names. */
export const layerAllow = (tools: ReadonlyArray<string>): Layer.Layer<Permissions, InvalidOptionsError> =>
  Layer.effect(Permissions, allowing(tools))

/** Denies these tools and allows the rest, questions to the user excepted. See `allowing` for the names. */
export const layerDeny = (tools: ReadonlyArray<string>): Layer.Layer<Permissions, InvalidOptionsError> =>
  Layer.effect(
    Permissions,
    Effect.map(denying(tools), orElse((request) => Effect.succeed(request.requiresUserInteraction ? pass : allow())))
  )

/**
 * Asks whoever sits at the terminal, one question at a time: yes, always (for the session), no. What the tool's input
 * shows cannot steer the terminal. Where nobody sits at it everything is denied.
 */
export const layerTerminal: Layer.Layer<Permissions, never, Terminal.Terminal> = Layer.effect(
  Permissions,
  Effect.suspend(() => TerminalPrompt.make)
)

/** Runs the tool, with another input if one is given, and remembers rules, such as one of `request.suggestions`. */
export const allow = (options: Omit<Extract<Decision, { readonly _tag: "Allow" }>, "_tag"> = {}): Decision => ({
  _tag: "Allow",
  ...options
})

/** Does not run the tool, and tells the model why. With `interrupt` the turn ends, too. */
export const deny = (message: string, options: { readonly interrupt?: boolean | undefined } = {}): Decision => ({
  _tag: "Deny",
  message,
  ...options
})

/** Leaves it to the next handler of `orElse`. Where there is none it denies. */
export const pass: Decision = { _tag: "Pass" }

/**
 * Allows these tools and passes on the rest. `*` stands for any text, and an MCP server's name for all of its tools.
 * Rules with brackets are refused: only the CLI knows what a command line runs, so give those to `allowedTools`. A tool
 * that wants an answer of its user is allowed only by its whole name.
 */
export const allowing = (tools: ReadonlyArray<string>): Either.Either<Handler, InvalidOptionsError> =>
  Either.map(matching(tools), (matches) => (request) =>
    Effect.succeed(
      (request.requiresUserInteraction ? tools.includes(request.tool) : matches(request.tool)) ? allow() : pass
    ))

/** Denies these tools, named as in `allowing`, and passes on the rest. */
export const denying = (
  tools: ReadonlyArray<string>,
  message = "This tool is not to be used here."
): Either.Either<Handler, InvalidOptionsError> =>
  Either.map(matching(tools), (matches) => (request) => Effect.succeed(matches(request.tool) ? deny(message) : pass))

/** What the first handler passes on is for the second. */
export const orElse: {
  <R2>(second: Handler<R2>): <R>(first: Handler<R>) => Handler<R | R2>
  <R, R2>(first: Handler<R>, second: Handler<R2>): Handler<R | R2>
} = dual(
  2,
  <R, R2>(first: Handler<R>, second: Handler<R2>): Handler<R | R2> => (request) =>
    Effect.flatMap(
      first(request),
      (decision): Effect.Effect<Decision, unknown, R2> =>
        decision._tag === "Pass" ? second(request) : Effect.succeed(decision)
    )
)

/** Denies when there is no decision in time. */
export const withTimeout: {
  (duration: Duration.DurationInput): <R>(handler: Handler<R>) => Handler<R>
  <R>(handler: Handler<R>, duration: Duration.DurationInput): Handler<R>
} = dual(
  2,
  <R>(handler: Handler<R>, duration: Duration.DurationInput): Handler<R> => (request) =>
    Effect.timeoutTo(handler(request), {
      duration,
      onSuccess: (decision) => decision,
      onTimeout: () => deny(`Nobody decided within ${Duration.format(duration)}.`)
    })
)

/** The questions of an `AskUserQuestion`; empty for every other tool. */
export const questions: (request: PermissionRequest) => ReadonlyArray<Question> = UserQuestions.asked

/** Answers an `AskUserQuestion`: by question a label, several, or any other text. One left out stays unanswered. */
export const answer = (
  request: PermissionRequest,
  answers: Readonly<Record<string, string | ReadonlyArray<string>>>
): Decision => allow({ input: UserQuestions.answered(request.input, answers) })

// ---------------------------------------------------------------------------

/** Whether a tool's name is among these. */
const matching = (tools: ReadonlyArray<string>): Either.Either<(tool: string) => boolean, InvalidOptionsError> => {
  const bad = tools.find((name) => !/^[\w.*:-]+$/.test(name))
  if (bad !== undefined) {
    return Either.left(
      new InvalidOptionsError({
        field: "permissions",
        detail: `"${bad}" is not the name of a tool`,
        hint: "Give rules with brackets to allowedTools or disallowedTools: the CLI reads them."
      })
    )
  }
  const pattern = new RegExp(`^(?:${tools.map(patternOf).join("|")})$`)
  return Either.right((tool) => tools.length > 0 && pattern.test(tool))
}

const patternOf = (name: string): string => {
  const pattern = name.split("*").map((part) => part.replaceAll(".", "\\.")).join(".*")
  return /^mcp__(?:(?!__).)+$/.test(name) ? `${pattern}(?:__.*)?` : pattern
}
