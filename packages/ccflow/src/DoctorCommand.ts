/**
 * `ccflow doctor`: what is wrong on this machine, and what to do about it. It calls no model.
 */
import * as Logs from "@ccflow/core/Logs"
import * as NodeDoctor from "@ccflow/node/NodeDoctor"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dirname, resolve } from "node:path"
import { diagnosisOf, shown } from "./internal/diagnosis.js"
import { running } from "./internal/running.js"
import * as Store from "./internal/store.js"
import { knownWindows, storeCheck } from "./internal/storeCheck.js"
import { Terminal } from "./Terminal.js"

/** Other commands do not begin with a level that there is not. */
const logs = NodeDoctor.check(
  "logs",
  Effect.match(Logs.fromEnvironment, {
    onFailure: ({ detail, field, hint }) => NodeDoctor.failed(`${field}: ${detail}`, hint),
    onSuccess: ({ level = "warning" }) => NodeDoctor.ok(`to stderr, level ${level}`)
  })
)

const doctor = Command.make("doctor", {
  json: Options.boolean("json").pipe(Options.withDescription("Print one object: { ok, failed, warnings, checks }.")),
  live: Options.boolean("live").pipe(
    Options.withDescription("Start the MCP servers that are configured, to see whether they answer.")
  )
}, ({ json, live }) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal
    const kept = yield* Effect.either(Effect.map(Store.path, (path) => resolve(path.trim())))
    const path = Either.getOrUndefined(kept)
    const all = yield* NodeDoctor.checks({
      live,
      folders: path === undefined ? [] : [{ name: "session store", path: dirname(path) }],
      windows: path === undefined ? Effect.succeed([]) : knownWindows(path)
    })
    const found = diagnosisOf(yield* NodeDoctor.run([...all, storeCheck(kept), logs]))
    yield* json
      ? terminal.say(`${JSON.stringify(found, undefined, 2)}\n`)
      : terminal.paint((colour) => shown(found, colour))
    if (!found.ok) process.exitCode = 1
  })).pipe(
    Command.withDescription(HelpDoc.blocks([
      HelpDoc.p("Looks for what is wrong with Claude Code and this machine, and says what to do. No model is called."),
      HelpDoc.p("The exit code is 1 when something failed; warnings do not count.")
    ])),
    Command.provide(NodeDoctor.layer)
  )

/** Runs it on what stands behind its name. */
export const run = running("ccflow doctor", doctor)
