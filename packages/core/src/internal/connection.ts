import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { type QueryOptions, redactArgs, toInitialize, toInvocation } from "../AgentOptions.js"
import type { ClaudeError } from "../ClaudeError.js"
import type { CliProcess, Invocation, RunningCli } from "../CliProcess.js"
import type { Concurrency, Permit } from "../Concurrency.js"
import type { MessageParser, Parser } from "../MessageParser.js"
import type { Wait } from "../Policy.js"
import { Account } from "./account.js"
import type { Bookkeeper } from "./books.js"
import type { Host } from "./host.js"
import * as ProcessEvents from "./processEvents.js"
import * as Spans from "./spans.js"

/** How a process is started, and what it is told before its first prompt. */
export interface Plan {
  readonly invocation: Invocation
  /** `undefined` when there is nothing to say. */
  readonly initialize: Readonly<Record<string, unknown>> | undefined
}

/** A started CLI, and the one parser of its output. */
export interface Connection {
  readonly cli: RunningCli
  readonly parser: Parser
  readonly plan: Plan
  readonly account: Account
  /** Held until the process is gone. */
  readonly permit: Permit
  /** What the CLI answered to `initialize`, when it has been asked already. */
  readonly initialized: Readonly<Record<string, unknown>> | undefined
}

/** One that was started for nobody in particular, and is given away once. */
export interface Adopted extends Connection {
  readonly sessionId: string
  /** Ends it, also before the scope of whoever it was given to. */
  readonly close: Effect.Effect<void>
}

export type Connect = (plan: Plan, wait: Wait) => Effect.Effect<Connection, ClaudeError, Scope.Scope>

/** Starts a process for each plan, when there may be one more. */
export const connect = (
  cliProcess: CliProcess["Type"],
  messageParser: MessageParser["Type"],
  concurrency: Concurrency["Type"],
  books: Bookkeeper
): Connect =>
(plan, wait) =>
  Effect.gen(function*() {
    const permit = yield* concurrency.acquire(wait)
    const { invocation } = plan
    const begun = yield* ProcessEvents.make(books.events)
    const made = yield* messageParser.make
    const clock = yield* Effect.clock
    const account = new Account(books, () => clock.unsafeCurrentTimeMillis())
    // After its process is gone, which waits for no ledger.
    yield* Scope.addFinalizer(yield* Effect.scope, Effect.suspend(() => account.close(made.unfinished?.())))
    const cli = yield* cliProcess.open({ ...invocation, env: yield* Spans.environment(invocation.env) })
    yield* permit.until(cli.exit)
    const parser = yield* Spans.timed(begun(made))
    return { cli, parser, plan, account, permit, initialized: undefined }
  })

export const planOf = (options: QueryOptions, host: Host): Plan => {
  const invocation = toInvocation(options)
  const initialize = toInitialize(options, host.context)
  return {
    invocation: host.args.length === 0 ? invocation : { ...invocation, args: [...invocation.args, ...host.args] },
    initialize: Object.keys(host.initialize).length === 0 ? initialize : { ...initialize, ...host.initialize }
  }
}

/** How it was started, as errors may show it. */
export const redactedArgv = ({ invocation }: Plan): ReadonlyArray<string> => [
  invocation.command,
  ...redactArgs(invocation.args)
]

/**
 * A session's process. It repeats each message of the user when it takes it up, which is how one knows whose answer
 * comes; and it is always asked what it is, so that it has started when that is known.
 */
export const sessionPlan = (options: QueryOptions, host: Host): Plan => {
  const { initialize, invocation } = planOf(options, host)
  return {
    invocation: { ...invocation, args: [...invocation.args, "--replay-user-messages"] },
    initialize: initialize ?? {}
  }
}
