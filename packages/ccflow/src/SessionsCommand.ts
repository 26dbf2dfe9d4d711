/** `ccflow sessions`: the conversations that are kept, for people as tables, for programs as JSON. */
import { type InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as SessionManager from "@ccflow/core/SessionManager"
import { type SessionRecord, SessionStatus, type TurnRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as Usage from "@effect/cli/Usage"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createInterface } from "node:readline"
import * as ChatCommand from "./ChatCommand.js"
import { plural } from "./internal/amounts.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import * as Asking from "./internal/options.js"
import * as Report from "./internal/report.js"
import { knownOf, optionsFirst } from "./internal/running.js"
import { oneLine } from "./internal/safe.js"
import * as Store from "./internal/store.js"
import { periodOf } from "./internal/time.js"
import { version } from "./internal/version.js"
import { Terminal } from "./Terminal.js"

const id = Args.text({ name: "id" }).pipe(
  Args.withDescription("A session's id, or as much of it as no other begins with.")
)

const list = Command.make("list", {
  status: Flags.optional(Options.choice("status", SessionStatus.literals), "Only sessions in this state."),
  model: Flags.optional(Options.text("model").pipe(Options.withAlias("m")), "Only sessions with this model."),
  tag: Options.text("tag").pipe(
    Options.withDescription("Only sessions with this tag; repeated: with any of them."),
    Options.repeated
  ),
  since: Flags.text("since", "Only sessions that were used since then: 2026-11-22, or 30m, 12h, 7d, 2w ago."),
  search: Flags.text("search", "Only sessions with this text in their title or a prompt."),
  limit: Flags.withDefault(Options.integer("limit"), 50, "At most so many, the latest first."),
  json: Flags.flag("json", "Print every session as one line of JSON.")
}, ({ json, limit, since, tag: tags, ...filter }) =>
  Effect.scoped(Effect.gen(function*() {
    if (limit < 1) return yield* badLimit
    const terminal = yield* Terminal
    const period = yield* periodOf({ since })
    const sessions = Store.all(yield* Store.open, {
      ...filter,
      tags,
      updatedAfter: period.since,
      limit: Math.min(limit, 1000)
    }).pipe(Stream.take(limit))
    if (json) return yield* Stream.runForEach(sessions, (session) => terminal.say(`${JSON.stringify(session)}\n`))
    const found = [...yield* Stream.runCollect(sessions)]
    yield* found.length === 0 ? terminal.note("There are none.") : terminal.say(Report.sessions(found))
  }))).pipe(Command.withDescription("The sessions that are kept, those used last first."))

const show = Command.make(
  "show",
  {
    id,
    json: Flags.flag("json", "Print one JSON object with the session and its turns.")
  },
  ({ id, json }) =>
    withSession(
      id,
      (session, turns) =>
        Effect.flatMap(Terminal, (terminal) =>
          terminal.say(json ? `${JSON.stringify({ session, turns })}\n` : Report.session(session, turns)))
    )
).pipe(
  Command.withDescription("A session and its turns.")
)

const resume = Command.make("resume", {
  id,
  prompt: Args.text({ name: "prompt" }).pipe(
    Args.withDescription("What to ask. Left out, the conversation goes on in the terminal."),
    Args.repeated
  ),
  ...Asking.asking
}, ({ id, prompt, ...given }) => ChatCommand.resumed(id, prompt.join(" "), given)).pipe(
  Command.withDescription("Goes on with a session: one turn, or a chat.")
)

const remove = Command.make("delete", {
  id,
  yes: Options.boolean("yes").pipe(Options.withAlias("y"), Options.withDescription("Do not ask."))
}, ({ id, yes }) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal
    const repository = yield* Store.open
    const session = yield* Store.known(repository, id)
    const question = `Delete "${oneLine(session.title)}" (${plural(session.turnCount, "turn")})?`
    if (!yes && !(yield* confirmed(question))) return
    const manager = yield* Effect.provideService(SessionManager.make(), SessionRepository, repository)
    yield* manager.delete(session.sessionId)
    yield* terminal.note("Deleted here. What Claude Code itself keeps of it stays.")
  })).pipe(Effect.provide(ChatCommand.services))).pipe(Command.withDescription("Forgets a session and its turns."))

const exported = Command.make("export", {
  id,
  format: Flags.withDefault(
    Options.choice("format", ["json", "md"]),
    "json",
    "json is everything that is kept; md is to be read."
  )
}, ({ format, id }) =>
  withSession(id, (session, turns, repository) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      if (format === "md") return yield* terminal.say(Report.markdown(session, turns))
      const whole = yield* Effect.forEach(turns, (turn) =>
        Effect.map(
          Stream.runCollect(Store.messages(repository, turn.turnId)),
          (messages) => messages.length === 0 ? turn : { ...turn, messages: [...messages] }
        ))
      yield* terminal.say(`${JSON.stringify({ session, turns: whole }, undefined, 2)}\n`)
    }))).pipe(Command.withDescription("A session and its turns, with their messages where those are kept, to stdout."))

const sessions = Command.make("sessions").pipe(
  Command.withDescription(HelpDoc.blocks([
    HelpDoc.p("The conversations that are kept."),
    HelpDoc.p("They are in the file that CCFLOW_SESSION_STORAGE_PATH names, or in this user's data folder.")
  ])),
  Command.withSubcommands([list, show, resume, remove, exported])
)

/** Runs it on what stands behind its name. */
export const run = (program: readonly [string, string], [name = "--help", ...rest]: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const one = Option.map(HashMap.get(Command.getSubcommands(sessions), name), CommandDescriptor.getUsage)
    if (Option.isNone(one) && !name.startsWith("-")) return yield* unknownCommand(name)
    const command = `ccflow sessions${Option.isNone(one) ? "" : ` ${name}`}`
    const args = yield* optionsFirst(rest, knownOf(Option.getOrElse(one, () => Usage.empty)), command)
    return yield* Command.run(sessions, { name: "ccflow sessions", version })([...program, name, ...args])
  })

// ---------------------------------------------------------------------------

const withSession = <E, R>(
  given: string,
  use: (
    session: SessionRecord,
    turns: ReadonlyArray<TurnRecord>,
    repository: SessionRepositoryService
  ) => Effect.Effect<void, E, R>
) =>
  Effect.scoped(Effect.gen(function*() {
    const repository = yield* Store.open
    const session = yield* Store.known(repository, given)
    const turns = yield* Stream.runCollect(Store.turns(repository, session.sessionId))
    yield* use(session, [...turns], repository)
  }))

/** What is written there can be seen and corrected. */
const confirmed = (question: string): Effect.Effect<boolean, InvalidOptionsError> =>
  process.stdin.isTTY === true
    ? Effect.async((resume) => {
      const lines = createInterface({ input: process.stdin, output: process.stderr })
      lines.on("close", () => resume(Effect.interrupt))
      lines.question(`${question} [y/N] `, (answer) => {
        resume(Effect.succeed(/^y(es)?$/i.test(answer.trim())))
        lines.close()
      })
      return Effect.sync(() => lines.close())
    })
    : unconfirmed

const unconfirmed = invalidOption(
  "--yes",
  "nobody sits at a terminal to be asked",
  "Give --yes to delete without a question."
)

const badLimit = invalidOption("--limit", "it must be a whole number above 0", "Left out it is 50.")

const unknownCommand = (name: string) =>
  invalidOption(`sessions ${oneLine(name)}`, "there is no such command", "See ccflow sessions --help.")
