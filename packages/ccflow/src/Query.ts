/**
 * A running query in plain TypeScript: iterate it for the messages, or await its `result`, or both.
 */
import type { Claude } from "@ccflow/core/Claude"
import type { ClaudeError, InvalidOptionsError } from "@ccflow/core/ClaudeError"
import type { Message, Result } from "@ccflow/core/Message"
import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

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

/** How effects are run here: by the client's runtime. */
export type Run = <A, E>(
  effect: Effect.Effect<A, E, Claude>,
  options?: { readonly signal?: AbortSignal }
) => Promise<Exit.Exit<A, E | InvalidOptionsError>>

/** A query whose CLI may run. */
export type Running = Pick<Query, "close">

/** What a caller sees when its own signal, or `close`, has ended the call. */
export const abortError = (reason?: unknown): DOMException =>
  Object.assign(new DOMException("The query was aborted", "AbortError"), { cause: reason })

/** What a query needs of its client. */
export interface Owner {
  readonly run: Run
  /** Closed with the client. */
  readonly open: Set<Running>
}

export const make = <Output>(owner: Owner, source: Source): Query<Output> => new QueryHandle<Output>(owner, source)

/** What a query is made of. */
export interface Source {
  readonly messages: Stream.Stream<Message, ClaudeError, Claude>
  readonly interrupt: () => void
  readonly signal: AbortSignal | undefined
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

type Pull = Effect.Effect<Chunk.Chunk<Message>, Option.Option<ClaudeError>, Claude>
type Next = IteratorResult<Message, undefined>

const done: Next = { done: true, value: undefined }

class QueryHandle<Output> implements Query<Output> {
  readonly interrupt: () => void
  private readonly owner: Owner
  private readonly source: Source
  private readonly pulling = new AbortController()
  private readonly answer = withResolvers<ResultOf<Output>>()
  private batch: Iterator<Message> | undefined
  private started: Promise<Pull> | undefined
  private scope: Scope.CloseableScope | undefined
  private tail: Promise<unknown> = Promise.resolve()
  private waiting = 0
  private iterated = false
  private ending: Promise<void> | undefined
  private found: ResultOf<Output> | undefined
  /** Thrown by the next `next()`, once. */
  private abortion: DOMException | undefined

  constructor(owner: Owner, source: Source) {
    this.owner = owner
    this.source = source
    this.interrupt = source.interrupt
    this.answer.promise.catch(() => {})
  }

  get result(): Promise<ResultOf<Output>> {
    // An iteration that begins in the same tick comes first.
    if (!this.iterated && this.started === undefined) setImmediate(() => this.iterated ? undefined : this.drain())
    return this.answer.promise
  }

  [Symbol.asyncIterator](): this {
    this.iterated = true
    return this
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  readonly next = (): Promise<Next> => {
    this.iterated = true
    if (this.waiting === 0) {
      const buffered = this.batch?.next()
      if (buffered !== undefined && buffered.done !== true) {
        return Promise.resolve({ done: false, value: buffered.value })
      }
    }
    this.waiting++
    const turn = this.tail.then(() => this.advance())
    this.tail = turn.then(this.served, this.served)
    return turn
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

  private readonly onAbort = (): void => {
    const abortion = abortError(this.source.signal?.reason)
    this.abortion = abortion
    void this.end(() => this.answer.reject(abortion))
  }

  private readonly served = (): void => {
    this.waiting--
  }

  private async drain(): Promise<void> {
    try {
      while ((await this.next()).done !== true) this.batch = undefined
    } catch {
      // The result has it.
    }
  }

  /** One call at a time: takes the next message, from the batch or from the CLI. */
  private async advance(): Promise<Next> {
    for (;;) {
      const buffered = this.batch?.next()
      if (buffered !== undefined && buffered.done !== true) return { done: false, value: buffered.value }
      if (this.ending !== undefined) return this.ended()
      const pull = await (this.started ??= this.start())
      if (this.ending !== undefined) return this.ended()
      const exit = await this.owner.run(pull, { signal: this.pulling.signal })
      if (this.ending !== undefined) return this.ended()
      if (Exit.isSuccess(exit)) this.take(exit.value)
      else await this.fail(exit.cause)
    }
  }

  private take(chunk: Chunk.Chunk<Message>): void {
    this.batch = chunk[Symbol.iterator]()
    if (this.found !== undefined) return
    for (const message of chunk) {
      if (message._tag === "Result" && message.origin === undefined) this.found = message as ResultOf<Output>
    }
  }

  /** The stream's end, good or bad: first everything is given back, then it is told. */
  private async fail(cause: Cause.Cause<Option.Option<ClaudeError> | InvalidOptionsError>): Promise<void> {
    const failure = Cause.squash(cause)
    const { found } = this
    if (Option.isOption(failure) && Option.isNone(failure) && found !== undefined) {
      return this.end(() => this.answer.resolve(found))
    }
    const error = Option.isOption(failure) && Option.isSome(failure) ? failure.value : failure
    await this.end(() => this.answer.reject(error))
    throw error
  }

  private async ended(): Promise<Next> {
    await this.ending
    const { abortion } = this
    this.abortion = undefined
    if (abortion !== undefined) throw abortion
    return done
  }

  private async start(): Promise<Pull> {
    const { signal } = this.source
    if (signal?.aborted === true) {
      this.onAbort()
      return Effect.interrupt
    }
    signal?.addEventListener("abort", this.onAbort, { once: true })
    this.owner.open.add(this)
    const opening = Effect.gen(this, function*() {
      const scope = this.scope = yield* Scope.make()
      return yield* Scope.extend(Stream.toPull(this.source.messages), scope)
    })
    return Exit.getOrElse(await this.owner.run(opening), (cause) => Effect.failCause(Cause.map(cause, Option.some)))
  }

  /** Once: the process is gone when this has settled, whatever called it. */
  private end(settle: () => void): Promise<void> {
    return this.ending ??= this.stop(settle)
  }

  private async stop(settle: () => void): Promise<void> {
    this.source.signal?.removeEventListener("abort", this.onAbort)
    this.batch = undefined
    this.pulling.abort()
    if (this.scope !== undefined || this.owner.open.has(this)) await this.started
    if (this.scope !== undefined) await this.owner.run(Scope.close(this.scope, Exit.void))
    this.owner.open.delete(this)
    settle()
  }
}

const withResolvers = <A>() => {
  let resolve: (value: A) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<A>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
