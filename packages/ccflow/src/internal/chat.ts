import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import type { Session } from "@ccflow/core/Session"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Terminal } from "../Terminal.js"
import type { Act, Screen } from "./screen.js"
import * as Slash from "./slash.js"

/** What a conversation is made of. */
export interface Chat {
  readonly session: Session
  readonly terminal: Terminal["Type"]
  readonly show: (message: Message) => Effect.Effect<void>
}

/** What happens in a conversation at a terminal. */
export type Event =
  | Act
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<void, ClaudeError> }
  | { readonly _tag: "Broken"; readonly error: ClaudeError }
  /** The turn that it was written for has not taken it. */
  | { readonly _tag: "Untold"; readonly text: string }

/**
 * A conversation with somebody who can write while Claude works: then what is written goes into the running turn.
 * Comes back with the session that it ended in.
 */
export const atTerminal = (
  { session: first, show, terminal }: Chat,
  screen: Screen,
  events: Mailbox.Mailbox<Event>,
  remember: (line: string) => Effect.Effect<void>
): Effect.Effect<Session, ClaudeError, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    let session = first
    let news: Fiber.RuntimeFiber<void> | undefined
    let job: { readonly fiber: Fiber.RuntimeFiber<unknown>; readonly turn: boolean } | undefined
    let leaving = false
    const waiting: Array<string> = []

    const inBackground = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkIn(Effect.interruptible(effect), scope)

    const listen = Effect.gen(function*() {
      if (news !== undefined) yield* Fiber.interruptFork(news)
      news = yield* inBackground(Stream.runForEach(session.background, (message) => tellNews(message, terminal)))
    })

    /** One thing at a time has the screen. */
    const run = (effect: Effect.Effect<void, ClaudeError>, turn: boolean) =>
      Effect.gen(function*() {
        yield* screen.wait(false)
        const fiber = yield* inBackground(
          Effect.flatMap(Effect.exit(effect), (exit) => events.offer({ _tag: "Ended", exit }))
        )
        job = { fiber, turn }
      })

    const ask = (text: string) =>
      run(
        Stream.runForEach(session.send(text), (message) =>
          message._tag === "Result" && message.interrupted
            ? Effect.zipRight(show(message), terminal.note("Interrupted."))
            : show(message)),
        true
      )

    const command = (name: Slash.Name, argument: string): Effect.Effect<void, ClaudeError> => {
      switch (name) {
        case "exit":
        case "quit":
          return events.offer({ _tag: "End" })
        case "fork":
          return Effect.gen(function*() {
            const old = session
            session = yield* Scope.extend(old.fork(), scope)
            yield* listen
            const id = yield* old.id
            yield* old.close
            yield* terminal.note(
              `From here on this is a branch.${id === "" ? "" : ` The other one: ccflow chat --resume ${id}`}`
            )
          })
        default:
          return Slash.answer(name, argument, session, terminal)
      }
    }

    const take = (text: string): Effect.Effect<void> =>
      Effect.gen(function*() {
        const slash = Slash.parse(text)
        if (job === undefined) {
          return yield* slash === undefined ? ask(text) : run(command(slash.name, slash.argument), false)
        }
        if (slash !== undefined && slash.name !== "fork") {
          return void (yield* inBackground(
            Effect.catchAll(command(slash.name, slash.argument), (error) => terminal.fail(error))
          ))
        }
        // The CLI takes no commands during a turn.
        if (slash !== undefined || !job.turn || text.startsWith("/")) return yield* later(text, job.turn)
        // It may wait for a process that takes nothing yet.
        yield* inBackground(
          Effect.flatMap(
            Effect.orElseSucceed(session.steer(text), () => false),
            (told) => told ? terminal.note("  told") : events.offer({ _tag: "Untold", text })
          )
        )
      })

    const later = (text: string, turn: boolean): Effect.Effect<void> => {
      waiting.push(text)
      return turn ? terminal.note("  later") : Effect.void
    }

    yield* listen
    yield* screen.wait(true)
    // Nobody should have to write a line to learn that there is no CLI, or no such conversation.
    yield* inBackground(Effect.catchAll(session.prewarm, (error) => events.offer({ _tag: "Broken", error })))
    let hinted = false
    const leave = Effect.map(screen.wait(false), () => session)
    for (;;) {
      const event = yield* Effect.orDie(events.take)
      switch (event._tag) {
        case "Line":
          hinted = false
          yield* remember(event.text)
          yield* take(event.text)
          break
        case "Untold":
          yield* job === undefined ? take(event.text) : later(event.text, job.turn)
          break
        case "Interrupt":
          if (job !== undefined) {
            if (job.turn) yield* inBackground(session.interrupt)
            else yield* Fiber.interruptFork(job.fiber)
          } else if (event.cleared) hinted = false
          else if (hinted) return yield* leave
          else {
            hinted = true
            yield* terminal.note("Press Ctrl-C again to leave, or Ctrl-D.")
          }
          break
        case "End":
          if (job === undefined || leaving) return yield* leave
          leaving = true
          yield* inBackground(job.turn ? session.interrupt : Fiber.interruptFork(job.fiber))
          break
        case "Broken":
          if (job === undefined) return yield* event.error
          break
        case "Ended": {
          job = undefined
          yield* terminal.end
          if (Exit.isFailure(event.exit)) yield* failed(event.exit.cause, terminal)
          if (leaving) return yield* leave
          const next = waiting.shift()
          if (next === undefined) yield* screen.wait(true)
          else yield* take(next)
        }
      }
    }
  })

/** A conversation by a program or a file: each line a turn. The first that fails ends it. */
export const byLine = (
  { session: first, show, terminal }: Chat,
  lines: Stream.Stream<string>
): Effect.Effect<void, ClaudeError, Scope.Scope> =>
  Effect.suspend(() => {
    let session = first
    const answer = (text: string): Effect.Effect<boolean, ClaudeError, Scope.Scope> =>
      Effect.gen(function*() {
        const slash = Slash.parse(text)
        if (slash === undefined) {
          yield* Stream.runForEach(session.send(text), show)
          yield* terminal.end
        } else if (slash.name === "fork") {
          const old = session
          session = yield* old.fork()
          yield* old.close
        } else if (slash.name === "exit" || slash.name === "quit") return false
        else yield* Slash.answer(slash.name, slash.argument, session, terminal)
        return true
      })
    return lines.pipe(
      Stream.filter((line) => line.trim() !== ""),
      Stream.mapEffect(answer),
      Stream.takeWhile((goesOn) => goesOn),
      Stream.runDrain
    )
  })

// ---------------------------------------------------------------------------

const failed = (cause: Cause.Cause<ClaudeError>, terminal: Terminal["Type"]): Effect.Effect<void> =>
  Option.match(Cause.failureOption(cause), {
    onNone: () =>
      Cause.isInterruptedOnly(cause) ? terminal.note("Interrupted.") : Effect.orDie(Effect.failCause(cause)),
    onSome: terminal.fail
  })

/** What Claude Code does of itself between the turns. */
const tellNews = (message: Message, terminal: Terminal["Type"]): Effect.Effect<void> => {
  if (message._tag === "Task" && message.phase === "notification") {
    return terminal.note(`Background work ${message.status ?? "ended"}: ${message.description}`)
  }
  return message._tag === "Result" && message.result !== "" ? terminal.say(`${message.result}\n`) : Effect.void
}
