/** `ccflow serve`: queries, sessions and batches over HTTP, until it is told to stop. */
import { PermissionMode } from "@ccflow/core/AgentOptions"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Metrics from "@ccflow/core/Metrics"
import * as SessionManager from "@ccflow/core/SessionManager"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { HttpService, layer as httpService } from "./HttpService.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { running } from "./internal/running.js"
import * as ServeStore from "./internal/serveStore.js"
import { Terminal } from "./Terminal.js"

const namesIn = (given: ReadonlyArray<string>) =>
  given.flatMap((names) => names.split(",")).map((name) => name.trim()).filter((name) => name !== "")

const list = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.repeated, Options.map(namesIn))

const seconds = (name: string, description: string) =>
  Options.map(Flags.count(name, description), (given) => given === undefined ? undefined : Duration.seconds(given))

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
  tokenFile: Flags.text(
    "token-file",
    "A file with the bearer token that clients must send. CCFLOW_SERVE_TOKEN may hold it."
  ),
  allow: list("allow", "Options that requests may have beyond the usual ones, such as cwd or allowedTools."),
  corsOrigins: list("cors-origin", "A web page's origin that may ask, such as https://app.example."),
  allowedHosts: list("allowed-host", "Another name that the service may be called by, as behind a proxy."),
  defaults: {
    model: Flags.text("model", "The model where a request names none."),
    tools: Options.map(
      Flags.text("tools", "The built-in tools there are, with commas between; an empty list leaves none."),
      (given) => given === undefined ? undefined : namesIn([given])
    ),
    permissionMode: Flags.optional(
      Options.choice("permission-mode", PermissionMode.literals),
      "How tools are decided on. Nobody can be asked: what would have to be is denied."
    ),
    cwd: Flags.text("cwd", "The folder that Claude Code works in. Left out, this one."),
    maxTurns: Flags.count("max-turns", "The most turns that a request may ask for."),
    maxBudgetUsd: Flags.optional(Options.float("max-budget-usd"), "The most that a query may cost, in USD.")
  },
  maxConcurrent: Flags.count("max-concurrent", "CLI processes at once. Left out, as many as the machine can hold."),
  maxRequests: Flags.count("max-requests", "Requests at once; one more is refused with 429. Left out: 32."),
  maxBody: Flags.count("max-body", "Bytes of a request. Left out: 1048576."),
  requestTimeout: seconds("request-timeout", "Seconds that a request may take. Left out: 600."),
  grace: seconds("grace", "Seconds that requests may go on when the service is told to stop. Left out: 10.")
}

const serve = ({ maxConcurrent, tokenFile, ...given }: Command.Command.ParseConfig<typeof options>) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal
    const token = yield* tokenOf(tokenFile)
    const service = httpService({ ...given, token })
    const sessions = Layer.provide(
      SessionManager.layerWith({ maxLive: 32, onFull: "closeIdle" }),
      NodeSessionHolder.layer
    )
    const claude = NodeClaude.layerWith({ ...given.defaults, maxConcurrent })
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

// ---------------------------------------------------------------------------

/** What clients must send: from the file, else from the environment. */
const tokenOf = (
  file: string | undefined
): Effect.Effect<Redacted.Redacted | undefined, InvalidOptionsError, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    if (file === undefined) {
      const given = yield* Effect.orDie(Config.withDefault(Config.string("CCFLOW_SERVE_TOKEN"), ""))
      // The CLI and what it starts have no business with it.
      delete process.env["CCFLOW_SERVE_TOKEN"]
      return given.trim() === "" ? undefined : Redacted.make(given.trim())
    }
    const files = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(files.readFileString(file), () => unreadable)
    return Redacted.make(text.trim())
  })

const unreadable = invalidOption(
  "--token-file",
  "the file cannot be read",
  "Give a file with the token and nothing else, which only you can read."
)

/**
 * Runs a service until SIGTERM or SIGINT. Being told to stop is a service's good end: the exit code is 0 once everything
 * is closed.
 */
const untilStopped = <E, R>(
  start: Effect.Effect<void, E, R | Scope.Scope>
): Effect.Effect<void, E, Exclude<R, Scope.Scope>> =>
  Effect.scoped(Effect.zipRight(start, Effect.never)).pipe(
    Effect.onExit((exit) => Exit.isInterrupted(exit) ? Effect.sync(endWell) : Effect.void)
  )

/** The program's end takes an interruption for Ctrl-C. */
const endWell = () => {
  process.once("exit", () => {
    process.exitCode = 0
  })
}
