/**
 * The `ccflow` command: a prompt in, text out; what tools do beside it, on a terminal. Its subcommands are loaded when
 * they are asked for.
 */
import * as Claude from "@ccflow/core/Claude"
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as CommandClaude from "./internal/commandClaude.js"
import * as Options from "./internal/options.js"
import { command } from "./internal/running.js"
import * as Terminal from "./Terminal.js"

const prompt = Args.text({ name: "prompt" }).pipe(
  Args.withDescription("What to ask. Left out, it is read from stdin."),
  Args.repeated
)

const ask = command(
  "ccflow",
  [
    "Ask Claude Code.",
    "ccflow batch: the prompts of a file or a pipe, so many at a time, with an output that can be resumed.",
    "ccflow chat: a conversation, in this terminal or line by line from a pipe.",
    "ccflow sessions: list, show, resume, delete and export the conversations that are kept.",
    "ccflow usage: what was used and what it cost, by day, model, session or tag.",
    "ccflow report: the same as a page to look at.",
    "ccflow serve: queries, sessions and batches over HTTP.",
    "ccflow record, replay: a program's conversations with Claude Code on a cassette, to test it with.",
    "ccflow toon: how data is given to the model, and what that saves.",
    "ccflow doctor: what is wrong with Claude Code and this machine, and what to do."
  ],
  { prompt, ...Options.asking },
  ({ prompt, ...given }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const words = prompt.length > 0 ? prompt.join(" ") : yield* terminal.readPrompt
      const { options, show } = yield* Options.read(given, terminal)
      yield* Stream.runForEach(Claude.query(words, options), show)
      yield* terminal.end
    }).pipe(Effect.provide(CommandClaude.layer))
)

/**
 * Runs the command on arguments such as `process.argv`. Options may stand on either side of the prompt. A prompt whose
 * first word is the name of a subcommand goes behind `--`.
 */
export const run = ([node = "", script = "", ...args]: ReadonlyArray<string>) => {
  const program = [node, script] as const
  const [name = "", ...rest] = args
  return isSubcommand(name)
    ? Effect.flatMap(Effect.promise(async () => (await subcommands[name]()).run), (run) => run(program, rest))
    : ask(program, args)
}

// ---------------------------------------------------------------------------

const subcommands = {
  batch: () => import("./BatchCommand.js"),
  chat: () => import("./ChatCommand.js"),
  doctor: () => import("./DoctorCommand.js"),
  record: async () => ({ run: (await import("./RecordCommand.js")).record }),
  replay: async () => ({ run: (await import("./RecordCommand.js")).replay }),
  report: () => import("./ReportCommand.js"),
  serve: () => import("./ServeCommand.js"),
  sessions: () => import("./SessionsCommand.js"),
  toon: () => import("./ToonCommand.js"),
  usage: () => import("./UsageCommand.js")
}

const isSubcommand = (name: string): name is keyof typeof subcommands => Object.hasOwn(subcommands, name)
