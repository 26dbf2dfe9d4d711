/** `ccflow serve`: queries, sessions and batches over HTTP, until it is told to stop. */
import { PermissionMode } from "@ccflow/core/AgentOptions"
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Metrics from "@ccflow/core/Metrics"
import * as SessionManager from "@ccflow/core/SessionManager"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as Options from "@effect/cli/Options"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { HttpService, layer as httpService } from "./HttpService.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { command } from "./internal/running.js"
import * as ServeStore from "./internal/serveStore.js"
import { Terminal } from "./Terminal.js"

const namesIn = (given: ReadonlyArray<string>) =>
  given.flatMap((names) => names.split(",")).map((name) => name.trim()).filter((name) => name !== "")

const list = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.repeated, Options.map(namesIn))

const seconds = (name: string, description: string) =>
  Options.map(Flags.count(name, description), (given) => given === undefined ? undefined : Duration.seconds(given))

const options = {
  host: Flags.withDefault(
    Options.withFallbackConfig(Options.text("host"), Config.string("CCFLOW_SERVE_HOST")),
    "127.0.0.1",
    "The address to listen on. CCFLOW_SERVE_HOST says it, too."
  ),
  port: Flags.withDefault(
    Options.withFallbackConfig(Options.integer("port"), Config.integer("CCFLOW_SERVE_PORT")),
    8080,
    "The port to listen on, 0 for any that is free. CCFLOW_SERVE_PORT says it, too."
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

export const run = command(
  "ccflow serve",
  [
    "Queries, sessions and batches over HTTP, with a description at /docs.",
    "On 127.0.0.1 everybody on this machine may ask. Anywhere else a bearer token is required, from " +
    "CCFLOW_SERVE_TOKEN or --token-file; never as an argument, which every process of the machine can read."
  ],
  options,
  ({ maxConcurrent, tokenFile, ...given }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      const token = yield* tokenOf(tokenFile)
      const sessions = Layer.provide(
        SessionManager.layerWith({ maxLive: 32, onFull: "closeIdle" }),
        NodeSessionHolder.layer
      )
      const claude = NodeClaude.layerWith({ ...given.defaults, maxConcurrent })
      const listening = Layer.merge(httpService({ ...given, token }), Metrics.layer).pipe(
        Layer.provide(sessions),
        Layer.provide(Layer.provideMerge(claude, ServeStore.layer))
      )
      const { url } = Context.get(yield* Layer.build(listening), HttpService)
      const whom = token === undefined ? "" : ", for those who have the token"
      yield* terminal.warn(`Listening on ${url}${whom}. ${url}/docs says more.`)
      return yield* Effect.never
    }).pipe(
      Effect.scoped,
      // To be told to stop, by SIGTERM or SIGINT, is a service's good end: the exit code is 0 once all is closed.
      Effect.onExit((exit) => Exit.isInterrupted(exit) ? Effect.sync(endWell) : Effect.void)
    )
)

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

/** The program's end takes an interruption for Ctrl-C. */
const endWell = () => {
  process.once("exit", () => {
    process.exitCode = 0
  })
}
