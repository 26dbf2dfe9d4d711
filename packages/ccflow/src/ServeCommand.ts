/**
 * `ccflow serve`: queries, sessions and batches over HTTP, until it is told to stop.
 */
import { type PermissionMode, PermissionMode as PermissionModes } from "@ccflow/core/AgentOptions"
import * as Metrics from "@ccflow/core/Metrics"
import * as SessionManager from "@ccflow/core/SessionManager"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { HttpService, layer as httpService } from "./HttpService.js"
import { running } from "./internal/running.js"
import { untilStopped } from "./internal/serveSignals.js"
import * as ServeStore from "./internal/serveStore.js"
import { tokenOf } from "./internal/serveToken.js"
import { Terminal } from "./Terminal.js"

const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)
const count = (name: string, description: string) =>
  Options.integer(name).pipe(Options.withDescription(description), Options.optional)
const list = (name: string, description: string) =>
  Options.text(name).pipe(
    Options.withDescription(description),
    Options.repeated,
    Options.map((given) =>
      given.flatMap((names) => names.split(",")).map((name) => name.trim()).filter((name) => name !== "")
    )
  )

const options = {
  host: Options.text("host").pipe(
    Options.withDescription("The address to listen on. CCFLOW_SERVE_HOST says it, too."),
    Options.withFallbackConfig(Config.string("CCFLOW_SERVE_HOST")),
    Options.withDefault("127.0.0.1")
  ),
  port: Options.integer("port").pipe(
    Options.withDescription("The port to listen on, 0 for any that is free. CCFLOW_SERVE_PORT says it, too."),
    Options.withFallbackConfig(Config.integer("CCFLOW_SERVE_PORT")),
    Options.withDefault(8080)
  ),
  tokenFile: text("token-file", "A file with the bearer token that clients must send. CCFLOW_SERVE_TOKEN may hold it."),
  allow: list("allow", "Options that requests may have beyond the usual ones, such as cwd or allowedTools."),
  corsOrigin: list("cors-origin", "A web page's origin that may ask, such as https://app.example."),
  allowedHost: list("allowed-host", "Another name that the service may be called by, as behind a proxy."),
  model: text("model", "The model where a request names none."),
  tools: text("tools", "The built-in tools there are, with commas between; an empty list leaves none."),
  permissionMode: Options.choice("permission-mode", PermissionModes.literals).pipe(
    Options.withDescription("How tools are decided on. Nobody can be asked: what would have to be is denied."),
    Options.optional
  ),
  cwd: text("cwd", "The folder that Claude Code works in. Left out, this one."),
  maxTurns: count("max-turns", "The most turns that a request may ask for."),
  maxBudgetUsd: Options.float("max-budget-usd").pipe(
    Options.withDescription("The most that a query may cost, in USD."),
    Options.optional
  ),
  maxConcurrent: count("max-concurrent", "CLI processes at once. Left out, as many as the machine can hold."),
  maxRequests: count("max-requests", "Requests at once; one more is refused with 429. Left out: 32."),
  maxBody: count("max-body", "Bytes of a request. Left out: 1048576."),
  requestTimeout: count("request-timeout", "Seconds that a request may take. Left out: 600."),
  grace: count("grace", "Seconds that requests may go on when the service is told to stop. Left out: 10.")
}

interface Given {
  readonly host: string
  readonly port: number
  readonly tokenFile: Option.Option<string>
  readonly allow: ReadonlyArray<string>
  readonly corsOrigin: ReadonlyArray<string>
  readonly allowedHost: ReadonlyArray<string>
  readonly model: Option.Option<string>
  readonly tools: Option.Option<string>
  readonly permissionMode: Option.Option<PermissionMode>
  readonly cwd: Option.Option<string>
  readonly maxTurns: Option.Option<number>
  readonly maxBudgetUsd: Option.Option<number>
  readonly maxConcurrent: Option.Option<number>
  readonly maxRequests: Option.Option<number>
  readonly maxBody: Option.Option<number>
  readonly requestTimeout: Option.Option<number>
  readonly grace: Option.Option<number>
}

const serve = (given: Given) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal
    const token = yield* tokenOf(Option.getOrUndefined(given.tokenFile))
    const defaults = {
      model: Option.getOrUndefined(given.model),
      tools: Option.getOrUndefined(Option.map(given.tools, (names) => names.split(",").filter((name) => name !== ""))),
      permissionMode: Option.getOrUndefined(given.permissionMode),
      cwd: Option.getOrUndefined(given.cwd),
      maxTurns: Option.getOrUndefined(given.maxTurns),
      maxBudgetUsd: Option.getOrUndefined(given.maxBudgetUsd)
    }
    const service = httpService({
      host: given.host,
      port: given.port,
      token: token === undefined ? undefined : Redacted.make(token),
      allow: given.allow,
      corsOrigins: given.corsOrigin,
      allowedHosts: given.allowedHost,
      defaults,
      maxRequests: Option.getOrUndefined(given.maxRequests),
      maxBody: Option.getOrUndefined(given.maxBody),
      requestTimeout: Option.getOrUndefined(Option.map(given.requestTimeout, (seconds) => seconds * 1000)),
      grace: Option.getOrUndefined(Option.map(given.grace, (seconds) => seconds * 1000))
    })
    const sessions = Layer.provide(
      SessionManager.layerWith({ maxLive: 32, onFull: "closeIdle" }),
      NodeSessionHolder.layer
    )
    const claude = NodeClaude.layerWith({ ...defaults, maxConcurrent: Option.getOrUndefined(given.maxConcurrent) })
    const listening = Layer.merge(service, Metrics.layer).pipe(
      Layer.provide(sessions),
      Layer.provide(Layer.provideMerge(claude, ServeStore.layer))
    )
    yield* untilStopped(Effect.gen(function*() {
      const { url } = Context.get(yield* Layer.build(listening), HttpService)
      const whom = token === undefined ? "" : ", for those who have the token"
      yield* terminal.warn(`Listening on ${url}${whom}. ${url}/docs says more.`)
    }))
  })

const serveCommand = Command.make("serve", options, serve).pipe(
  Command.withDescription(HelpDoc.blocks([
    HelpDoc.p("Queries, sessions and batches over HTTP, with a description at /docs."),
    HelpDoc.p(
      "On 127.0.0.1 everybody on this machine may ask. Anywhere else a bearer token is required, from CCFLOW_SERVE_TOKEN " +
        "or --token-file; never as an argument, which every process of the machine can read."
    )
  ]))
)

/** Runs it on what stands behind its name. */
export const run = running("ccflow serve", serveCommand)
