import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation, type RunningCli } from "@ccflow/core/CliProcess"
import { is, type Message, type Result } from "@ccflow/core/Message"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import type { Session } from "@ccflow/core/Session"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, type Scope, Stream, TestClock } from "effect"

/** What a session's process was started with. */
export const flag = ({ args }: Invocation, name: string): string | undefined =>
  args.findLast((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3)

/** `--session-id` or `--resume`, as it was given to each process. */
export const identities = Effect.gen(function*() {
  const { started } = yield* FakeCli.FakeCli
  return (yield* started).map(({ invocation }) =>
    invocation.args.filter((arg) => /^--(session-id|resume|fork-session)/.test(arg)).join(" ")
  )
})

export const processes = Effect.gen(function*() {
  const { started } = yield* FakeCli.FakeCli
  const all = yield* started
  return { started: all.length, running: all.filter(({ running }) => running).length }
})

/** The control requests that the n-th process was sent. */
export const asked = (index: number) =>
  Effect.gen(function*() {
    const { started } = yield* FakeCli.FakeCli
    return (yield* started)[index]!.sent.flatMap((frame) =>
      frame.type === "control_request" ? [frame["request"] as Readonly<Record<string, unknown>>] : []
    )
  })

export const subtypes = (index: number) => Effect.map(asked(index), (all) => all.map(({ subtype }) => subtype))

/** Lets everything happen that needs no time. */
export const settle = TestClock.adjust("0 millis")

/** A turn that goes on while the test does something else. */
export interface Followed {
  readonly messages: Array<Message>
  readonly tags: () => ReadonlyArray<string>
  readonly ended: () => boolean
  readonly fiber: Fiber.RuntimeFiber<void, ClaudeError>
  readonly result: Effect.Effect<Result, ClaudeError>
}

export const follow = <R>(
  stream: Stream.Stream<Message, ClaudeError, R>
): Effect.Effect<Followed, never, R | Scope.Scope> =>
  Effect.gen(function*() {
    const messages: Array<Message> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(stream, (message) => Effect.sync(() => messages.push(message)))
    )
    let ended = false
    fiber.addObserver(() => {
      ended = true
    })
    yield* settle
    return {
      messages,
      tags: () => messages.map(({ _tag }) => _tag),
      ended: () => ended,
      fiber,
      result: Effect.map(Fiber.join(fiber), () => messages.findLast(is("Result")) ?? assert.fail("no result"))
    }
  })

/** Sends, and looks on. */
export const sending = (session: Session, ...args: Parameters<Session["send"]>) => follow(session.send(...args))

/** Why it failed. */
export const failureOf = <A>(exit: Exit.Exit<A, ClaudeError>): ClaudeError =>
  Option.getOrThrow(
    Option.flatMap(Exit.causeOption(exit), (cause) => cause._tag === "Fail" ? Option.some(cause.error) : Option.none())
  )

/** A text that takes so many seconds to be said. */
export const slowly = (content: string, seconds: number): FakeCli.Turn => [
  FakeCli.init(),
  FakeCli.text(content, { deltas: seconds, every: "1 second" }),
  FakeCli.result({ result: content })
]

/** The service over a fake CLI whose processes can be looked at and changed. */
export const layerOf = (
  script: Parameters<typeof FakeCli.layer>[0],
  { change = (cli) => cli, startsIn = 0, warm = 0 }: {
    readonly warm?: number
    /** Until there is a process, in milliseconds. */
    readonly startsIn?: number
    readonly change?: (cli: RunningCli, index: number) => RunningCli
  } = {}
): Layer.Layer<Claude.Claude | FakeCli.FakeCli> => {
  let index = 0
  const changed = Layer.map(FakeCli.layer(script), (context) => context)
  const cli = Layer.effect(
    CliProcess,
    Effect.map(CliProcess, ({ open }) => ({
      open: (invocation: Invocation) =>
        Effect.map(
          startsIn === 0 ? open(invocation) : Effect.delay(open(invocation), startsIn),
          (running) => change(running, index++)
        )
    }))
  )
  return Layer.orDie(Claude.layerWith({ warm })).pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} }), Policies.layerNoop, cli]),
    Layer.provideMerge(changed)
  )
}
