/** `ccflow report`: what was used, what it cost and what became of it, as one page to look at. */
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Flags from "./internal/flags.js"
import * as KeptFile from "./internal/keptFile.js"
import { collect } from "./internal/reportPage/collect.js"
import { assets, html } from "./internal/reportPage/html.js"
import * as Output from "./internal/reportPage/output.js"
import { stores } from "./internal/reportPage/sources.js"
import { command } from "./internal/running.js"
import { periodOf } from "./internal/time.js"
import { Terminal } from "./Terminal.js"

export const run = command(
  "ccflow report",
  [
    "Makes one page of what is kept: cost, tokens, outcomes, times, and each session's course.",
    "The page needs no network, and sends nothing. It holds the titles and prompts of the sessions."
  ],
  {
    since: Flags.text("since", "Only what happened since then: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
    until: Flags.text("until", "Only what happened before that; a day is included."),
    output: Flags.withDefault(
      Options.withAlias(Options.text("output"), "o"),
      "ccflow-report.html",
      "The file to make, for you alone (0600); - is stdout."
    ),
    storage: KeptFile.option,
    force: Flags.flag("force", "Replace the file when it is there."),
    noPrompts: Flags.flag("no-prompts", "Leave out titles and prompts.")
  },
  ({ force, noPrompts, output, since, storage, until }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      const period = yield* periodOf({ since, until })
      const toStdout = output === "-"
      if (!toStdout && !force) yield* Output.free(output)
      const path = yield* KeptFile.pathOf(storage)
      const data = yield* Effect.provide(collect({ ...period, withoutPrompts: noPrompts }), stores(path))
      const page = html(data, yield* assets)
      if (toStdout) return yield* terminal.say(page)
      yield* Output.write(output, page, force)
      yield* terminal.note(`${output}: open it in a browser.`)
    })
)
