/** `ccflow chat`: a conversation in the terminal. Where nobody sits at one each line of stdin is a turn. */
import type { Claude } from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import * as SessionManager from "@ccflow/core/SessionManager"
import type { SessionOptions } from "@ccflow/core/SessionOptions"
import { promptText, type SessionRecord } from "@ccflow/core/SessionRecord"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeSessionHolder from "@ccflow/node/NodeSessionHolder"
import * as PlatformTerminal from "@effect/platform/Terminal"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { plural } from "./internal/amounts.js"
import * as Chat from "./internal/chat.js"
import * as CommandClaude from "./internal/commandClaude.js"
import * as Flags from "./internal/flags.js"
import * as History from "./internal/history.js"
import * as Options from "./internal/options.js"
import { command } from "./internal/running.js"
import { oneLine, printable } from "./internal/safe.js"
import { Screen } from "./internal/screen.js"
import * as Store from "./internal/store.js"
import { clipped } from "./internal/width.js"
import * as Terminal from "./Terminal.js"

/** What conversations run on. */
export const services = Layer.merge(CommandClaude.layerKept, NodeSessionHolder.layer)

/** One more turn of a session that is kept, or without a prompt a conversation. */
export const resumed = (id: string, prompt: string, given: Options.Asking) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const records = yield* Store.open
    const { sessionId: resume } = yield* Store.known(records, id)
    const begin = { ...given, resume, records }
    return yield* prompt === "" ? begun(begin, terminal) : byLine(begin, Stream.make(prompt), terminal)
  })).pipe(Effect.provide(services))

export const run = command(
  "ccflow chat",
  ["A conversation with Claude Code, in this terminal or line by line from a pipe. /help says more."],
  { resume: Flags.text("resume", "The id of a conversation to go on with, or its beginning."), ...Options.asking },
  (given) =>
    Effect.scoped(Effect.gen(function*() {
      const terminal = yield* Terminal.Terminal
      const records = yield* Effect.either(Store.open)
      if (Either.isLeft(records)) yield* terminal.warn(`This conversation is not kept: ${records.left.message}`)
      return yield* begun({ ...given, records: Either.getOrUndefined(records) }, terminal)
    })).pipe(Effect.provide(services))
)

// ---------------------------------------------------------------------------

/** What a conversation begins with. */
interface Beginning extends Options.Asking {
  readonly resume: string | undefined
  /** None where it is not kept. */
  readonly records: SessionRepositoryService | undefined
}

/** The conversation to go on with, or a new one; kept where there are records. */
const open = (
  { records, resume }: Beginning,
  options: SessionOptions,
  terminal: Terminal.Terminal["Type"]
): Effect.Effect<Session.Session, ClaudeError, Claude | Scope.Scope> => {
  // One that has no record the CLI may know all the same.
  const unknown = Session.make(resume === undefined ? options : { ...options, resume })
  if (records === undefined) return unknown
  return Effect.gen(function*() {
    const record = resume === undefined ? undefined : yield* Store.find(records, resume)
    if (record === undefined) return yield* unknown
    const manager = yield* SessionManager.make()
    yield* tellLast(records, record, terminal)
    const { permissions: _, ...unasked } = options
    return yield* manager.resume(record.sessionId, asksNobody(record.options) ? unasked : options)
  }).pipe(Effect.provideService(SessionRepository, records))
}

const tellLast = (records: SessionRepositoryService, record: SessionRecord, terminal: Terminal.Terminal["Type"]) =>
  Effect.gen(function*() {
    yield* terminal.note(`Going on with "${clipped(oneLine(record.title), 60)}", ${plural(record.turnCount, "turn")}.`)
    const last = yield* Stream.runLast(Store.turns(records, record.sessionId))
    if (Option.isSome(last) && last.value.status === "cut") {
      yield* terminal.note(`Its last turn was cut: ${clipped(oneLine(promptText(last.value.prompt)), 60)}`)
    }
  })

/** A question that could never be put is refused, so none is. */
const asksNobody = (options: SessionRecord["options"]): boolean =>
  options["permissionMode"] === "bypassPermissions" || options["permissionMode"] === "dontAsk" ||
  options["dangerouslySkipPermissions"] === true || options["permissionPrompts"] === "none" ||
  options["permissionPromptTool"] !== undefined

/** By whoever sits at the terminal, or by what stands in the pipe. */
const begun = (given: Beginning, terminal: Terminal.Terminal["Type"]) =>
  seated(terminal) && !given.json ? atTerminal(given) : byLine(given, lines, terminal)

const atTerminal = (given: Beginning) =>
  Effect.gen(function*() {
    const events = yield* Mailbox.make<Chat.Event>()
    const history = yield* Effect.flatMap(
      Effect.option(Store.path),
      (path) => History.open(Option.getOrUndefined(path))
    )
    const screen = new Screen({ history: history.lines, act: (act) => events.unsafeOffer(act) })
    const terminal = Terminal.make({
      out: screen.print,
      err: screen.print,
      endLine: screen.endLine,
      outIsTerminal: true,
      errIsTerminal: true
    })
    const conversation = Effect.gen(function*() {
      const { options, show } = yield* Options.read(given, terminal)
      const permissions = yield* Layer.build(Permissions.layerTerminal).pipe(
        Effect.map(Context.get(Permissions.Permissions)),
        Effect.provideService(PlatformTerminal.Terminal, screen.terminal)
      )
      const session = yield* open(given, { ...options, permissions }, terminal)
      // It is closed before the session, so that nobody writes into a conversation that ends.
      yield* Effect.acquireRelease(Effect.sync(() => screen.start()), () => Effect.sync(() => screen.stop()))
      yield* terminal.note("A conversation with Claude. /help says what there is; Ctrl-D leaves.")
      const last = yield* Chat.atTerminal({ session, terminal, show }, screen, events, history.add)
      const { turns } = yield* last.stats
      const id = yield* last.id
      if (turns > 0 && id !== "") yield* terminal.note(`To go on with it: ccflow chat --resume ${id}`)
    })
    // What else than the conversation has to say must not get between its lines.
    const log = Logger.map(Terminal.lines, (line) => screen.show(`${printable(line)}\n`))
    yield* Effect.provide(conversation, Logger.replace(Terminal.logger, log))
  })

/** Somebody who can be asked, and whom what is written can be shown. */
const seated = (terminal: Terminal.Terminal["Type"]): boolean =>
  process.stdin.isTTY === true && terminal.interactive && process.env["TERM"] !== "dumb"

const byLine = (given: Beginning, lines: Stream.Stream<string>, terminal: Terminal.Terminal["Type"]) =>
  Effect.gen(function*() {
    const { options, show } = yield* Options.read(given, terminal)
    const session = yield* open(given, options, terminal)
    yield* Chat.byLine({ session, terminal, show }, lines)
  })

const lines = Stream.fromAsyncIterable(process.stdin, () => "stdin is gone").pipe(
  Stream.map((chunk) => Buffer.from(chunk)),
  Stream.decodeText("utf-8"),
  Stream.splitLines,
  Stream.catchAll(() => Stream.empty)
)
