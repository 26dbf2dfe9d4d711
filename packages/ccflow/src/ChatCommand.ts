/**
 * `ccflow chat`: a conversation in the terminal. Where nobody sits at one each line of stdin is a turn.
 */
import type { Claude } from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import type { SessionOptions } from "@ccflow/core/SessionOptions"
import { SessionRepository, type SessionRepositoryService } from "@ccflow/core/SessionRepository"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import * as Command from "@effect/cli/Command"
import * as CliOptions from "@effect/cli/Options"
import * as PlatformTerminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Chat from "./internal/chat.js"
import * as History from "./internal/history.js"
import * as Options from "./internal/options.js"
import { optionsFirst } from "./internal/optionsFirst.js"
import { Screen } from "./internal/screen.js"
import * as Store from "./internal/store.js"
import { version } from "./internal/version.js"
import * as Terminal from "./Terminal.js"

/** What a conversation begins with. */
export interface ChatOptions extends Options.Asking {
  readonly resume: Option.Option<string>
}

/** A conversation, until whoever has it leaves. */
export const chat = ({ resume, ...given }: ChatOptions) =>
  Effect.scoped(Effect.gen(function*() {
    const outside = yield* Terminal.Terminal
    const records = yield* Effect.either(Store.open)
    if (Either.isLeft(records)) yield* outside.warn(`This conversation is not kept: ${records.left.message}`)
    const opening = open(resume, Either.getRight(records))
    return yield* seated(outside) && !given.json ? atTerminal(opening, given) : byLine(opening, given, lines, outside)
  })).pipe(Effect.provide(NodeClaude.layer))

/** One more turn of a session that is kept, or without a prompt a conversation. */
export const resumed = (id: string, prompt: string, given: Options.Asking) =>
  Effect.scoped(Effect.gen(function*() {
    const terminal = yield* Terminal.Terminal
    const repository = yield* Store.open
    const { sessionId } = yield* Store.known(repository, id)
    const opening = open(Option.some(sessionId), Option.some(repository))
    if (prompt !== "") return yield* byLine(opening, given, Stream.make(prompt), terminal)
    return yield* seated(terminal) && !given.json ? atTerminal(opening, given) : byLine(opening, given, lines, terminal)
  })).pipe(Effect.provide(NodeClaude.layer))

const chatCommand = Command.make(
  "chat",
  {
    resume: CliOptions.text("resume").pipe(
      CliOptions.withDescription("The id of a conversation to go on with, or its beginning."),
      CliOptions.optional
    ),
    ...Options.asking
  },
  chat
).pipe(
  Command.withDescription(
    "A conversation with Claude Code, in this terminal or line by line from a pipe. /help says more."
  )
)

/** Runs it on what stands behind its name. */
export const run = (program: readonly [string, string], args: ReadonlyArray<string>) =>
  Effect.flatMap(
    optionsFirst(
      args,
      { ...Options.askingKnown, valued: [...Options.askingKnown.valued, "--resume"] },
      "ccflow chat --help"
    ),
    (args) => Command.run(chatCommand, { name: "ccflow chat", version })([...program, ...args])
  )

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

type Opening = (options: SessionOptions) => Effect.Effect<Session.Session, ClaudeError, Claude | Scope.Scope>

/** The conversation to go on with, or a new one; kept where there are records. */
const open = (resume: Option.Option<string>, records: Option.Option<SessionRepositoryService>): Opening => (options) =>
  Option.match(records, {
    onNone: () =>
      Session.make({ ...options, ...Option.match(resume, { onNone: () => ({}), onSome: (id) => ({ resume: id }) }) }),
    onSome: (repository) =>
      Effect.flatMap(
        Effect.transposeOption(Option.map(resume, (id) => Store.idOf(repository, id))),
        Option.match({
          onNone: () => Session.make(options),
          onSome: (id) => Session.make({ ...options, resume: id })
        })
      ).pipe(Effect.provideService(SessionRepository, repository))
  })

const atTerminal = (opening: Opening, given: Options.Asking) =>
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
    const { options, show } = yield* Options.read(given, terminal)
    const permissions = Permissions.layerTerminal.pipe(
      Layer.provide(Layer.succeed(PlatformTerminal.Terminal, screen.terminal))
    )
    const session = yield* Effect.provide(opening(options), permissions)
    // It is closed before the session, so that nobody writes into a conversation that ends.
    yield* Effect.acquireRelease(Effect.sync(() => screen.start()), () => Effect.sync(() => screen.stop()))
    yield* terminal.note("A conversation with Claude. /help says what there is; Ctrl-D leaves.")
    const last = yield* Chat.atTerminal({ session, terminal, show }, screen, events, history.add)
    const { turns } = yield* last.stats
    const id = yield* last.id
    if (turns > 0 && id !== "") yield* terminal.note(`To go on with it: ccflow chat --resume ${id}`)
  })

/** Somebody who can be asked, and whom what is written can be shown. */
const seated = (terminal: Terminal.Terminal["Type"]): boolean =>
  process.stdin.isTTY === true && terminal.interactive && process.env["TERM"] !== "dumb"

const byLine = (
  opening: Opening,
  given: Options.Asking,
  lines: Stream.Stream<string>,
  terminal: Terminal.Terminal["Type"]
) =>
  Effect.gen(function*() {
    const { options, show } = yield* Options.read(given, terminal)
    const session = yield* opening(options)
    yield* Chat.byLine({ session, terminal, show }, lines)
  })

const lines = Stream.fromAsyncIterable(process.stdin, () => gone).pipe(
  Stream.map((chunk) => Buffer.from(chunk)),
  Stream.decodeText("utf-8"),
  Stream.splitLines,
  Stream.catchAll(() => Stream.empty)
)
const gone = "stdin is gone"
