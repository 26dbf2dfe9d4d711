/** A conversation in plain TypeScript: one warm CLI for many turns, and all that it can be asked between them. */
import * as Claude from "@ccflow/core/Claude"
import { type ClaudeError, SessionClosedError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import type * as Core from "@ccflow/core/Session"
import type { SessionStats } from "@ccflow/core/Session"
import type * as Control from "@ccflow/core/SessionControl"
import type * as CoreOptions from "@ccflow/core/SessionOptions"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { inspect } from "node:util"
import * as Decisions from "./Decisions.js"
import { checked } from "./internal/given.js"
import { keepingAlive } from "./internal/keepAlive.js"
import { Records } from "./internal/records.js"
import * as Owner from "./Owner.js"
import type { PermissionMode } from "./PermissionMode.js"
import * as Query from "./Query.js"

/** The options of a session: those of a query, for all its turns, and how long its process lives. */
export interface SessionOptions
  extends Omit<CoreOptions.SessionOptions, keyof Decisions.DecisionOptions>, Decisions.DecisionOptions
{
  /** Words to find it by among the records of its client. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/** The options of one turn. */
export interface TurnOptions extends CoreOptions.TurnSettings {
  /** Aborting it interrupts the turn, which rejects with an `AbortError`. The session takes the next one. */
  readonly signal?: AbortSignal | undefined
}

/** How a session is made, when it is first used. */
export type Open = Effect.Effect<Core.Session, ClaudeError, Owner.Services | Scope.Scope>

/** Where a session belongs. */
export interface Place {
  readonly owner: Owner.Owner
  /** Left out, a new session of the owner's. */
  readonly open?: Open | undefined
  /** Where it is known. */
  readonly id?: string | undefined
}

/**
 * A conversation of many turns. The first turn starts a CLI, the later ones find it warm; one that is gone, because it was
 * idle for long, killed or crashed, comes back with its history, and nobody notices. An idle session does not keep the
 * program alive, and its CLI goes with the program. Close it all the same: that ends its CLI now.
 *
 * What goes wrong rejects with the tagged error itself.
 */
export class Session implements AsyncDisposable, Owner.Closable {
  private readonly owner: Owner.Owner
  private readonly open: Open
  private readonly scope = Effect.runSync(Scope.make())
  private readonly chosenId: string
  private opening: Promise<Exit.Exit<Core.Session, ClaudeError>> | undefined
  private session: Core.Session | undefined
  private closing: Promise<SessionStats> | undefined

  /** Of the client that the top-level functions share. `client.session(options)` makes one of another client. */
  constructor(options: SessionOptions = {}, { id = "", open, owner }: Place = { owner: Owner.shared() }) {
    this.owner = owner
    const named = open === undefined ? withId(checked(options), owner.config) : { id, options }
    this.chosenId = named.id
    this.open = open ?? begun(named.options)
  }

  /**
   * Chosen before the first turn, and another one after `/clear`. Empty as long as only the CLI knows it: with
   * `continueSession`, and on a client with `warm` before the first use.
   */
  get id(): string {
    return this.session === undefined ? this.chosenId : Effect.runSync(this.session.id)
  }

  /** What it has come to so far. */
  get stats(): SessionStats {
    return this.session === undefined ? nothing : Effect.runSync(this.session.stats)
  }

  /**
   * One turn: iterate it for the messages that answer this prompt, or await its `result`. Turns run one after the other,
   * in the order in which they were first looked at. Leaving the loop, `close` and the signal interrupt the turn, and the
   * session stays; so does `interrupt`, with what there was for a result.
   */
  sendMessage(prompt: Claude.Prompt, options: TurnOptions = {}): Query.Query {
    return Query.make(this.owner, options, (given) => Effect.map(this.core, (session) => session.send(prompt, given)))
  }

  /**
   * Puts a message into the turn that runs. While a tool runs the model gets it with the tool's result; else it is
   * answered after what is being said, in the same turn. False when no turn runs: then nothing was sent.
   */
  steer(prompt: Claude.Prompt): Promise<boolean> {
    return this.ask((session) => session.steer(prompt))
  }

  /** Ends the turn that runs: it ends well, with a result that is `interrupted` and has what there was. */
  interrupt(): Promise<void> {
    return this.ask((session) => session.interrupt)
  }

  /** Makes the session now, on record where its client keeps any. What cannot be made, or resumed, rejects here already. */
  async ready(): Promise<this> {
    await this.ask(() => Effect.void)
    return this
  }

  /** Starts the CLI now, so that the first turn does not wait for it. */
  prewarm(): Promise<void> {
    return this.ask((session) => session.prewarm)
  }

  /** A new session with this one's history, from now on apart. Its options are this one's, and those given. */
  async fork(options: Omit<SessionOptions, "tags"> = {}): Promise<Session> {
    const branch = new Session(options, {
      owner: this.owner,
      open: Effect.flatMap(
        Effect.zip(this.core, Decisions.resolve(options)),
        ([session, given]) => session.fork(given)
      )
    })
    return branch.ready()
  }

  /**
   * What belongs to no turn: news of background work, and turns that the CLI starts itself, from the first `next()` on.
   * Ends with the session. As long as somebody waits for the next message the program stays alive.
   */
  get background(): AsyncIterable<Message> {
    return { [Symbol.asyncIterator]: () => this.listen() }
  }

  /** Interrupts what runs, ends the CLI, and takes no more turns. Safe to repeat. */
  close(): Promise<SessionStats> {
    return this.closing ??= this.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** For who prints it: no option is shown, since it may be secret. @internal */
  [inspect.custom](): string {
    return `Session ${inspect({ id: this.id, ...this.stats })}`
  }

  /** From the model's next request on. Left out: the CLI's default. */
  setModel(model?: string): Promise<void> {
    return this.ask((session) => session.setModel(model))
  }

  /** `bypassPermissions` needs `allowDangerouslySkipPermissions` from the start. */
  setPermissionMode(mode: PermissionMode): Promise<void> {
    return this.ask((session) => session.setPermissionMode(mode))
  }

  /** Tokens of thinking for each request; 0 turns it off. Left out: the model's default. */
  setMaxThinkingTokens(tokens?: number): Promise<void> {
    return this.ask((session) => session.setMaxThinkingTokens(tokens))
  }

  /** How full the model's context window is. The CLI asks the API to count. */
  contextUsage(): Promise<Control.ContextUsage> {
    return this.ask((session) => session.contextUsage)
  }

  mcpStatus(): Promise<ReadonlyArray<Control.McpServerStatus>> {
    return this.ask((session) => session.mcpStatus)
  }

  reconnectMcpServer(name: string): Promise<void> {
    return this.ask((session) => session.reconnectMcpServer(name))
  }

  toggleMcpServer(name: string, enabled: boolean): Promise<void> {
    return this.ask((session) => session.toggleMcpServer(name, enabled))
  }

  supportedCommands(): Promise<ReadonlyArray<Control.SlashCommand>> {
    return this.ask((session) => session.supportedCommands)
  }

  supportedModels(): Promise<ReadonlyArray<Control.ModelInfo>> {
    return this.ask((session) => session.supportedModels)
  }

  supportedAgents(): Promise<ReadonlyArray<Control.AgentInfo>> {
    return this.ask((session) => session.supportedAgents)
  }

  /** Who is logged in, and so who pays. */
  accountInfo(): Promise<Control.AccountInfo> {
    return this.ask((session) => session.accountInfo)
  }

  /** Ends background work by the id that `Task` messages have. */
  stopTask(taskId: string): Promise<void> {
    return this.ask((session) => session.stopTask(taskId))
  }

  /** Puts files back as they were before this message, the `turnId` of its turn. Needs `fileCheckpointing`. */
  rewindFiles(messageId: string, options?: { readonly dryRun?: boolean }): Promise<Control.RewoundFiles> {
    return this.ask((session) => session.rewindFiles(messageId, options))
  }

  // ---------------------------------------------------------------------------

  /** Made at the first use, once. */
  private readonly core: Effect.Effect<Core.Session, ClaudeError, Owner.Services> = Effect.suspend(() => {
    if (this.opening === undefined && this.closing !== undefined) {
      return Effect.fail(new SessionClosedError({ sessionId: this.id, hint: "Begin a new one, or resume it." }))
    }
    return Effect.flatten(Effect.promise(() => this.opening ??= this.begin()))
  })

  private async begin(): Promise<Exit.Exit<Core.Session, ClaudeError>> {
    this.owner.open.add(this)
    const exit = await this.owner.run(Scope.extend(this.open, this.scope))
    if (Exit.isSuccess(exit)) this.session = exit.value
    else {
      this.opening = undefined
      this.owner.open.delete(this)
    }
    return exit
  }

  private async end(): Promise<SessionStats> {
    await this.opening
    const { session } = this
    if (session !== undefined) {
      await this.owner.run(Effect.zipRight(session.close, Scope.close(this.scope, Exit.void)))
    }
    this.owner.open.delete(this)
    return this.stats
  }

  private async *listen(): AsyncGenerator<Message, void> {
    const stream = await this.ask((session) =>
      Effect.map(Effect.runtime(), (runtime) => Stream.toReadableStreamRuntime(session.background, runtime))
    )
    const reader = stream.getReader()
    try {
      for (;;) {
        const { done, value } = await keepingAlive(reader.read())
        if (done) return
        yield value
      }
    } finally {
      await reader.cancel()
    }
  }

  private ask<A>(question: (session: Core.Session) => Effect.Effect<A, ClaudeError>): Promise<A> {
    return Owner.valueOf(this.owner.run(Effect.flatMap(this.core, question)))
  }
}

// ---------------------------------------------------------------------------

const nothing: SessionStats = { turns: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, durationMs: 0 }

/** On record where its client keeps any. */
const begun = (options: SessionOptions): Open =>
  Effect.gen(function*() {
    const given = yield* Decisions.resolve(options)
    const records = yield* Effect.flatMap(Records, ({ open }) => open)
    if (records !== undefined) return yield* records.create(given)
    return yield* Effect.flatMap(Claude.Claude, (claude) => claude.session(given))
  })

/** Known from the start where it is ours to choose. */
const withId = (options: SessionOptions, config: Owner.ClientConfig): { id: string; options: SessionOptions } => {
  const { continueSession, forkSession, resume, sessionId, warm = 0 } = { ...config, ...options }
  if (sessionId !== undefined) return { id: sessionId, options }
  if (resume !== undefined && forkSession !== true) return { id: resume, options }
  if (continueSession === true || warm > 0) return { id: "", options }
  const id = crypto.randomUUID()
  return { id, options: { ...options, sessionId: id } }
}
