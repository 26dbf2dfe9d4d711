import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"

type Taken<A, E> = Effect.Effect<ReadonlyArray<A>, Option.Option<E>>

/** How much may wait for a consumer before the CLI has to. The last batch comes on top. */
export interface Most {
  readonly messages: number
  /** Of the output that the messages were made from: they are not measured one by one. */
  readonly bytes: number
}

/** Usually. */
export const mostHeld: Most = { messages: 1024, bytes: 1024 * 1024 }

/** How many times as much where something else may come behind it: a question to the program, news of a session. */
export const hearing = 16

/** And where something does: an answer to us, the CLI's last words. */
export const atLast = 2 * hearing

/**
 * What is on its way from one reader to one consumer, through however many hands, and what the consumer has in its own:
 * until it wants more. The reader looks whether it is too much before it reads on, so that a slow consumer slows the CLI
 * instead of filling memory. A consumer that waits is not slow.
 */
export class Backlog {
  private readonly most: Most
  private messages = 0
  private bytes = 0
  /** The part of them that the consumer has. */
  private messagesTaken = 0
  private bytesTaken = 0
  private hungry = false
  private waiting: (() => void) | undefined

  constructor(most: Most) {
    this.most = most
  }

  /** It has come to so many times the most that it may usually be. */
  full(times: number): boolean {
    const { most } = this
    return !this.hungry && (this.messages >= times * most.messages || this.bytes >= times * most.bytes)
  }

  /** Waits until it is not full. Who changes by how many times as much it may be, stirs it. */
  room(times: () => number): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const look = (): void => {
        if (this.full(times())) this.waiting = look
        else resume(Effect.void)
      }
      look()
    })
  }

  add(messages: number, bytes: number): void {
    this.messages += messages
    this.bytes += bytes
  }

  /** The consumer takes what there is: it is done with what it had. */
  taken(): void {
    this.messages -= this.messagesTaken
    this.bytes -= this.bytesTaken
    this.messagesTaken = this.messages
    this.bytesTaken = this.bytes
    this.stir()
  }

  /** The consumer wants more than there is. */
  wanted(): void {
    this.hungry = true
    this.taken()
  }

  /** There is something for the consumer. */
  given(): void {
    this.hungry = false
  }

  stir(): void {
    const { waiting } = this
    this.waiting = undefined
    waiting?.()
  }
}

/** Batches on their way from one fiber to another. The end is told after everything before it has been taken. */
export class Inbox<A, E> {
  private held: ReadonlyArray<A> = []
  /** Two batches and more, of which `held` is what they make together. */
  private gathered: Array<A> | undefined
  private ended: Taken<A, E> | undefined
  private taker: (() => void) | undefined
  private readonly backlog: Backlog | undefined

  /** The backlog is that of which this is the last station. */
  constructor(backlog?: Backlog) {
    this.backlog = backlog
  }

  /**
   * What it is woken to is to look again: a consumer that was interrupted meanwhile leaves what has come to the next. So
   * nothing need be called off, which would cost as much again as the waiting, and hold messages past their time.
   */
  readonly take: Taken<A, E> = Effect.suspend(() => {
    if (this.held.length > 0) return Effect.succeed(this.empty())
    return this.ended ?? this.arrival
  })

  private readonly arrival: Taken<A, E> = Effect.async((resume) => {
    this.taker = () => resume(this.take)
    this.backlog?.wanted()
  })

  offer(batch: ReadonlyArray<A>): void {
    if (batch.length === 0 || this.ended !== undefined) return
    if (this.held.length === 0) this.held = batch
    else {
      this.held = this.gathered ??= [...this.held]
      for (const item of batch) this.gathered.push(item)
    }
    this.wake()
  }

  /** The first end counts. */
  end(end: Effect.Effect<never, Option.Option<E>>): void {
    if (this.ended !== undefined) return
    this.ended = end
    this.wake()
  }

  /** Nobody takes it any more. */
  discard(): void {
    this.ended ??= Effect.interrupt
    this.held = []
    this.gathered = undefined
  }

  private wake(): void {
    const { taker } = this
    this.taker = undefined
    this.backlog?.given()
    taker?.()
  }

  private empty(): ReadonlyArray<A> {
    const taken = this.held
    this.held = []
    this.gathered = undefined
    this.backlog?.taken()
    return taken
  }
}

/** The bytes of one read. */
export const sizeOf = (chunks: ReadonlyArray<Uint8Array>): number => {
  let bytes = 0
  for (const chunk of chunks) bytes += chunk.length
  return bytes
}
