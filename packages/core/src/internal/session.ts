import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { merge } from "../AgentOptions.js"
import type { Prompt } from "../Claude.js"
import { type ClaudeError, CliProtocolError, type InvalidOptionsError } from "../ClaudeError.js"
import type { Message } from "../Message.js"
import type { Policy } from "../Policy.js"
import type { Session } from "../Session.js"
import * as Control from "../SessionControl.js"
import { decodeTurn, type Lifetime, type SessionOptions } from "../SessionOptions.js"
import { purposeOf } from "../UsageLedger.js"
import { contextOf } from "./host.js"
import { hearing, type Most, mostHeld } from "./inbox.js"
import type { Observation, ObservedCall } from "./observation.js"
import { Observers } from "./observed.js"
import { Policed } from "./policed.js"
import { checkPrompt, withContext } from "./prompt.js"
import { Draft } from "./recorder.js"
import { SessionCore } from "./sessionCore.js"
import { SessionEvents } from "./sessionEvents.js"
import type { ProcessParts, SessionProcess } from "./sessionProcess.js"
import { streamed } from "./streamed.js"

/** What a session is made of. */
export interface SessionPlan extends Omit<ProcessParts, "recycle" | "wait" | "work" | "now"> {
  readonly policies: Policy
  readonly observation: Observation
  readonly lifetime: Lifetime
  /** Makes the session that branches off. */
  readonly fork: (options: SessionOptions) => Effect.Effect<Session, ClaudeError, Scope.Scope>
}

export const make = (plan: SessionPlan): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { lifetime: { idleTimeout, recycleAfter = {} }, options } = plan
    const background = new Observers<Message>(mostInBackground)
    const clock = yield* Effect.clock
    const telling = new SessionEvents(plan.observation.events)
    const core = new SessionCore({
      connect: plan.connect,
      deadline: plan.deadline,
      adopted: plan.adopted,
      recorder: plan.recorder,
      options,
      host: telling.host(plan.host),
      idleTimeout: Duration.decode(idleTimeout ?? "10 minutes"),
      recycle: {
        ageMs: Duration.toMillis(recycleAfter.age ?? "6 hours"),
        turns: recycleAfter.turns ?? 200,
        memoryBytes: recycleAfter.memoryBytes ?? 1024 ** 3
      },
      background,
      work: yield* Scope.make(),
      now: () => clock.unsafeCurrentTimeMillis()
    })
    const policed = new Policed(plan.policies, () => core.cli.whenClosed)
    const closed = () => telling.closed(core.cli.sessionId, core.totals)
    yield* Effect.addFinalizer(() =>
      Effect.map(core.dispose, () => {
        closed()
        background.end()
      })
    )
    telling.begun(core.cli.sessionId, options, (yield* Draft)?.tags ?? options.tags ?? [])
    yield* core.spare
    const stats = () => ({ ...core.totals })
    let turns = 0

    // Objects of one shape share its description, which one that is spread into others does not.
    return Object.assign<Control.SessionControl, Omit<Session, keyof Control.SessionControl>>(controlsOf(core.cli), {
      id: Effect.sync(() => core.cli.sessionId),
      send: (prompt, { interruptWhen, ...given } = {}) =>
        streamed(Effect.gen(function*() {
          yield* checkPrompt(prompt)
          const { context, turnId, ...turn } = yield* decodeTurn(given)
          const merged = merge(options, turn)
          const encoded = yield* contextOf(context)
          const whole = withContext(prompt, encoded)
          const id = crypto.randomUUID()
          const charge = { ...(yield* purposeOf(merged.tags)), callId: id }
          const call: ObservedCall = {
            id,
            kind: "turn",
            turnNumber: ++turns,
            contexts: [turns === 1 ? plan.host.context : undefined, encoded].filter((given) => given !== undefined),
            prompt,
            options: merged,
            sessionId: () => core.cli.sessionId
          }
          const { observation } = plan
          return yield* observation.whole(call)(policed.send({
            id,
            prompt: whole,
            options: merged,
            interruptWhen,
            attempt: (first, backlog) =>
              observation.attempt(call)(
                Effect.tap(core.send(turnId, whole, merged, charge, interruptWhen, !first, backlog), () => {
                  telling.running = id
                })
              )
          }))
        })),
      steer: (prompt: Prompt): Effect.Effect<boolean, InvalidOptionsError> =>
        Effect.zipRight(checkPrompt(prompt), core.steer(prompt)),
      interrupt: Effect.suspend(() => policed.interrupt() ? Effect.void : core.interrupt),
      prewarm: Effect.suspend(() => Effect.asVoid(core.cli.ready)),
      fork: (given = {}) =>
        core.between(Effect.gen(function*() {
          const { cli } = core
          const from = cli.established ? { resume: cli.sessionId, forkSession: true } : {}
          const branch = yield* plan.fork({ ...cli.changes, ...given, ...from })
          // It reads the history when it starts, and must not see what is said here later.
          if (cli.established) yield* branch.prewarm
          return branch
        })),
      background: Stream.suspend(() => background.stream),
      stats: Effect.sync(stats),
      close: Effect.suspend(() =>
        Effect.map(core.close, () => {
          closed()
          return stats()
        })
      )
    })
  })

// ---------------------------------------------------------------------------

/** Messages of no turn that are kept for a slow reader, and the output that they were made of. */
const mostInBackground: Most = { messages: mostHeld.messages, bytes: hearing * mostHeld.bytes }

const controlsOf = (process: SessionProcess): Control.SessionControl => {
  const ask = <A, I>(
    subtype: string,
    schema: Schema.Schema<A, I>,
    fields: Readonly<Record<string, unknown>> = {}
  ): Effect.Effect<A, ClaudeError> =>
    Effect.suspend(() =>
      Effect.flatMap(process.request({ subtype, ...fields }), (reply) => decode(subtype, schema, reply))
    )

  const tell = (subtype: string, fields: Readonly<Record<string, unknown>>): Effect.Effect<void, ClaudeError> =>
    Effect.asVoid(process.request({ subtype, ...fields }))

  const initial = <A, I>(field: string, schema: Schema.Schema<A, I>): Effect.Effect<A, ClaudeError> =>
    Effect.suspend(() =>
      process.ready.pipe(
        Effect.flatMap((live) => live.initialized),
        Effect.flatMap((reply) => decode("initialize", schema, reply[field]))
      )
    )

  return {
    setModel: (model) => process.change({ subtype: "set_model", ...(model === undefined ? {} : { model }) }, { model }),
    setPermissionMode: (mode) =>
      process.change({ subtype: "set_permission_mode", mode: mode === "manual" ? "default" : mode }, {
        permissionMode: mode
      }),
    setMaxThinkingTokens: (tokens) =>
      process.change({ subtype: "set_max_thinking_tokens", max_thinking_tokens: tokens ?? null }, {
        thinking: tokens === undefined ? undefined : tokens === 0 ? "disabled" : { budgetTokens: tokens }
      }),
    contextUsage: ask("get_context_usage", Control.ContextUsage),
    mcpStatus: Effect.suspend(() => Effect.map(ask("mcp_status", McpStatus), ({ mcpServers }) => mcpServers)),
    reconnectMcpServer: (name) => tell("mcp_reconnect", { serverName: name }),
    toggleMcpServer: (name, enabled) => tell("mcp_toggle", { serverName: name, enabled }),
    supportedCommands: initial("commands", SlashCommands),
    supportedModels: initial("models", ModelInfos),
    supportedAgents: initial("agents", AgentInfos),
    accountInfo: initial("account", Control.AccountInfo),
    stopTask: (taskId) => tell("stop_task", { task_id: taskId }),
    rewindFiles: (messageId, { dryRun = false } = {}) =>
      ask("rewind_files", Control.RewoundFiles, { user_message_id: messageId, dry_run: dryRun })
  }
}

// A schema is made once, not for each session: it is large.
const SlashCommands = Schema.Array(Control.SlashCommand)
const ModelInfos = Schema.Array(Control.ModelInfo)
const AgentInfos = Schema.Array(Control.AgentInfo)
const McpStatus = Schema.Struct({ mcpServers: Schema.Array(Control.McpServerStatus) })

const decode = <A, I>(request: string, schema: Schema.Schema<A, I>, reply: unknown) =>
  Effect.mapError(
    Schema.decodeUnknown(schema)(reply),
    ({ message }) =>
      new CliProtocolError({
        request,
        detail: `its answer is not what it used to be: ${message}`,
        hint: "Use another version of the CLI, or update ccflow."
      })
  )
