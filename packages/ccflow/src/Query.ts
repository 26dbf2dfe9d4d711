/** A running query in plain TypeScript: iterate it for the messages, or await its `result`, or both. */
import * as Claude from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message, Result } from "@ccflow/core/Message"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { inspect } from "node:util"
import { abortError, onAbort } from "./internal/abort.js"
import { type Aborting, wrongIn } from "./internal/given.js"
import { type Resolvers, withResolvers } from "./internal/withResolvers.js"
import type { Owner, Services } from "./Owner.js"

/** The result of a query whose `outputSchema` is an Effect Schema has its output decoded and typed. */
export type ResultOf<Output> = Omit<Result, "structuredOutput"> & { readonly structuredOutput?: Output }

/**
 * The messages of one prompt. The CLI is started by the first `next()` or the first look at `result`; leaving the loop
 * stops it, and the loop is left only when its process is gone.
 */
export interface Query<Output = unknown> extends AsyncIterableIterator<Message>, AsyncDisposable {
  /** The answer. Without an iteration the messages are passed over. Rejects with the error that the iteration throws. */
  readonly result: Promise<ResultOf<Output>>
  /** Asks the CLI to end the turn: the iteration and the result end well, with what there was. */
  readonly interrupt: () => void
  /** Stops the CLI. An iteration ends, a pending `result` rejects with an `AbortError`. */
  readonly close: () => Promise<void>
  readonly next: () => Promise<IteratorResult<Message, undefined>>
  readonly return: () => Promise<IteratorResult<Message, undefined>>
  readonly throw: (error?: unknown) => Promise<IteratorResult<Message, undefined>>
}

/** Of these messages, which end well when they are interrupted. */
export const make = <Output, Options extends Aborting>(
  owner: Owner,
  options: Options,
  messages: (
    options: Omit<Options, "signal"> & { readonly interruptWhen: Effect.Effect<void> }
  ) => Effect.Effect<Stream.Stream<Message, ClaudeError, Services>, ClaudeError, Services>
): Query<Output> => {
  const interrupted = Deferred.unsafeMake<void>(FiberId.none)
  const interrupt = () => Deferred.unsafeDone(interrupted, Effect.void)
  const wrong = wrongIn(options)
  if (wrong !== undefined) return new QueryHandle(owner, { signal: undefined, interrupt, open: wrong })
  const { signal, ...given } = options
  const open = Effect.flatMap(messages({ ...given, interruptWhen: Deferred.await(interrupted) }), Claude.toPull)
  return new QueryHandle(owner, { signal, interrupt, open })
}

// ---------------------------------------------------------------------------

/** What a query is made of. */
interface Source {
  /** Gives the messages batch by batch; the failure `None` is the good end. Nothing of it is left when its scope closes. */
  readonly open: Effect.Effect<
    Effect.Effect<ReadonlyArray<Message>, Option.Option<ClaudeError>, Services>,
    ClaudeError,
    Services | Scope.Scope
  >
  readonly interrupt: () => void
  readonly signal: AbortSignal | undefined
}

type Next = IteratorResult<Message, undefined>

const done: Next = { done: true, value: undefined }

/** Messages that are read after the answer before somebody asks for them. */
const heldAtLast = 1024

/**
 * One fiber reads the messages, a batch whenever one is wanted, and ends with its process gone. A fiber for each batch
 * would cost more than the batch, and keep garbage collection from it.
 */
class QueryHandle<Output> implements Query<Output> {
  readonly interrupt: () => void
  private readonly owner: Owner
  private readonly source: Source
  private readonly reading = new AbortController()
  private readonly answer = withResolvers<ResultOf<Output>>()
  /** Calls of `next()` that have no message yet. */
  private readonly waiting: Array<Resolvers<Next>> = []
  private batch: ReadonlyArray<Message> = []
  private at = 0
  private iterated = false
  /** Nobody iterates: messages are passed over. */
  private passing = false
  private running: Promise<void> | undefined
  /** The signal is no longer listened to. */
  private forget: () => void = () => {}
  /** Open while a batch is wanted. */
  private readonly wanted = Effect.unsafeMakeLatch()
  private ending: Promise<void> | undefined
  private found: ResultOf<Output> | undefined
  /** Thrown by the next `next()`, once. */
  private thrown: { readonly error: unknown } | undefined

  constructor(owner: Owner, source: Source) {
    this.owner = owner
    this.source = source
    this.interrupt = source.interrupt
    this.answer.promise.catch(() => {})
  }

  get result(): Promise<ResultOf<Output>> {
    // An iteration that begins in the same tick comes first.
    if (!this.iterated && this.running === undefined) setImmediate(() => this.iterated ? undefined : this.pass())
    return this.answer.promise
  }

  [Symbol.asyncIterator](): this {
    this.iterated = true
    return this
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** For who prints it in place of its result: neither prompt nor options are shown. */
  [inspect.custom](): string {
    return "Query { await its result, or iterate it }"
  }

  readonly next = (): Promise<Next> => {
    this.iterated = true
    if (this.at < this.batch.length) return Promise.resolve({ done: false, value: this.batch[this.at++]! })
    if (this.ending !== undefined) return this.ending.then(this.ended)
    const waiting = withResolvers<Next>()
    this.waiting.push(waiting)
    this.more()
    return waiting.promise
  }

  readonly return = async (): Promise<Next> => {
    await this.close()
    return done
  }

  readonly throw = async (error?: unknown): Promise<Next> => {
    await this.close()
    throw error
  }

  readonly close = (): Promise<void> => this.end(() => this.answer.reject(abortError()))

  private pass(): void {
    if (this.ending !== undefined) return
    this.passing = true
    this.more()
  }

  private more(): void {
    if (this.running === undefined && this.source.signal?.aborted === true) return this.onAbort()
    this.wanted.unsafeOpen()
    this.running ??= this.run()
  }

  private async run(): Promise<void> {
    this.forget = onAbort(this.source.signal, this.onAbort)
    this.owner.open.add(this)
    const exit = await this.owner.run(this.read, { signal: this.reading.signal })
    if (this.ending !== undefined || Exit.isSuccess(exit)) return
    this.ending = Promise.resolve()
    this.leave(() => this.conclude(exit.cause))
  }

  /** Ends by failing: with `None` when all went well. */
  private readonly read = Effect.scoped(Effect.gen(this, function*() {
    const pull = yield* this.source.open
    for (;;) {
      yield* this.wanted.await
      this.wanted.unsafeClose()
      this.take(yield* pull)
    }
  }))

  private take(batch: ReadonlyArray<Message>): void {
    if (this.found === undefined) {
      for (const message of batch) {
        if (message._tag === "Result" && message.origin === undefined) this.found = message as ResultOf<Output>
      }
    }
    this.batch = this.at < this.batch.length ? [...this.batch.slice(this.at), ...batch] : batch
    this.at = 0
    while (this.at < this.batch.length && this.waiting.length > 0) {
      this.waiting.shift()!.resolve({ done: false, value: this.batch[this.at++]! })
    }
    if (this.passing) this.at = this.batch.length
    if (this.passing || this.waiting.length > 0 || this.readsOn) this.more()
  }

  /** After the answer its end is near, and whoever has seen it may wait for `result` and ask for nothing more. */
  private get readsOn(): boolean {
    return this.found !== undefined && this.batch.length - this.at < heldAtLast
  }

  private conclude(cause: Cause.Cause<ClaudeError | Option.Option<ClaudeError>>): void {
    const failure = Cause.squash(cause)
    if (Option.isOption(failure) && Option.isNone(failure) && this.found !== undefined) {
      return this.answer.resolve(this.found)
    }
    const error = Option.isOption(failure) && Option.isSome(failure) ? failure.value : failure
    this.thrown = { error }
    this.answer.reject(error)
  }

  private readonly onAbort = (): void => {
    const error = abortError(this.source.signal?.reason)
    if (this.ending === undefined) this.thrown = { error }
    void this.end(() => this.answer.reject(error))
  }

  /** Once: the process is gone when this has settled, whatever called it. */
  private end(settle: () => void): Promise<void> {
    return this.ending ??= this.stop(settle)
  }

  private async stop(settle: () => void): Promise<void> {
    this.at = this.batch.length
    this.reading.abort()
    await this.running
    this.leave(settle)
  }

  private leave(settle: () => void): void {
    this.forget()
    this.owner.open.delete(this)
    settle()
    for (const { resolve } of this.waiting.splice(0)) resolve(this.ended())
  }

  private readonly ended = async (): Promise<Next> => {
    const { thrown } = this
    this.thrown = undefined
    if (thrown !== undefined) throw thrown.error
    return done
  }
}
