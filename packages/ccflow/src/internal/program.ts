import { CCFlowError, type ClaudeError } from "@ccflow/core/ClaudeError"
import * as Events from "@ccflow/core/Events"
import * as Logs from "@ccflow/core/Logs"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Command from "../Command.js"
import * as Terminal from "../Terminal.js"
import * as Exporting from "./exporting.js"
import { hangUp } from "./hangUp.js"
import { Told } from "./told.js"

/** 130 as shells say it for Ctrl-C, 2 for what the caller wrote wrongly, 1 for everything else. */
const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  if (Cause.isInterruptedOnly(exit.cause)) return 130
  const error = Cause.squash(exit.cause)
  if (error instanceof Told) return 1
  return error instanceof CCFlowError && error._tag !== "InvalidOptionsError" ? 1 : 2
}

const isOurs = (error: unknown): error is ClaudeError => error instanceof CCFlowError

/** Whoever looks for what is wrong with a variable is not stopped by it. */
const logging = process.argv[2] === "doctor"
  ? Layer.catchAll(Terminal.logging, () => Logs.layerWith(Terminal.logger))
  : Terminal.logging

// A reader that has gone away is told by the write that fails.
process.stdout.on("error", () => {})
process.stderr.on("error", () => {})

Command.run(process.argv).pipe(
  Effect.provide(
    Logs.layerEvents.pipe(
      Layer.provideMerge(Events.layer),
      Layer.provideMerge(Exporting.layer),
      Layer.provideMerge(logging)
    )
  ),
  Effect.tapError((error) =>
    isOurs(error) ? Effect.flatMap(Terminal.Terminal, (terminal) => terminal.fail(error)) : Effect.void
  ),
  Effect.provide(Layer.merge(NodeContext.layer, Terminal.layer)),
  Terminal.withPlainConsole,
  NodeRuntime.runMain({
    disableErrorReporting: true,
    disablePrettyLogger: true,
    teardown: (exit, onExit) => {
      // Only now that everything is closed: as whoever does not handle the signal ends.
      if (hangUp.seen) {
        process.removeAllListeners("SIGHUP")
        process.kill(process.pid, "SIGHUP")
      }
      onExit(exitCode(exit))
    }
  })
)
