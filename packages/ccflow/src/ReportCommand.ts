/**
 * `ccflow report`: what was used, what it cost and what became of it, as one page to look at.
 */
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { assets } from "./internal/reportPage/assets.js"
import { collect } from "./internal/reportPage/collect.js"
import { html } from "./internal/reportPage/html.js"
import * as Output from "./internal/reportPage/output.js"
import { stores } from "./internal/reportPage/stores.js"
import { running } from "./internal/running.js"
import { sinceOf, untilOf } from "./internal/time.js"
import { Terminal } from "./Terminal.js"

const report = Command.make("report", {
  since: Options.text("since").pipe(
    Options.withDescription("Only what happened since then: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
    Options.optional
  ),
  until: Options.text("until").pipe(
    Options.withDescription("Only what happened before that; a day is included."),
    Options.optional
  ),
  output: Options.text("output").pipe(
    Options.withAlias("o"),
    Options.withDescription("The file to make, for you alone (0600); - is stdout."),
    Options.withDefault("ccflow-report.html")
  ),
  storage: Options.text("storage").pipe(
    Options.withDescription("The file that sessions are kept in, when it is not the usual one."),
    Options.optional
  ),
  force: Options.boolean("force").pipe(Options.withDescription("Replace the file when it is there.")),
  noPrompts: Options.boolean("no-prompts").pipe(Options.withDescription("Leave out titles and prompts."))
}, ({ force, noPrompts, output, since, storage, until }) =>
  Effect.gen(function*() {
    const terminal = yield* Terminal
    const now = yield* Clock.currentTimeMillis
    const asked = {
      since: yield* Effect.transposeOption(Option.map(since, (text) => sinceOf(text, now))),
      until: yield* Effect.transposeOption(Option.map(until, (text) => untilOf(text, now)))
    }
    const toStdout = output === "-"
    if (!toStdout && !force) yield* Output.free(output)
    const data = yield* collect({
      since: Option.getOrUndefined(asked.since),
      until: Option.getOrUndefined(asked.until),
      withoutPrompts: noPrompts
    }).pipe(Effect.provide(stores(Option.getOrUndefined(storage))))
    const page = html(data, yield* assets)
    if (toStdout) return yield* terminal.say(page)
    yield* Output.write(output, page, force)
    yield* terminal.note(`${output}: open it in a browser.`)
  })).pipe(
    Command.withDescription(HelpDoc.blocks([
      HelpDoc.p("Makes one page of what is kept: cost, tokens, outcomes, times, and each session's course."),
      HelpDoc.p("The page needs no network, and sends nothing. It holds the titles and prompts of the sessions.")
    ]))
  )

/** Runs it on what stands behind its name. */
export const run = running("ccflow report", report)
