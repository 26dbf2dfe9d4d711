import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Assistant, Message, ModelUsage, Result, Usage } from "../Message.js"
import type { Purpose, UsageEntry, UsageGroup } from "../UsageLedger.js"
import type { Bookkeeper } from "./books.js"
import { addUsage, noUsage } from "./figures.js"
import { isNothing, minus, promptsOf } from "./usageDelta.js"

/** Who a process works for. */
export interface Charge extends Purpose {
  readonly callId: string
  readonly turnId: string | undefined
}

/** A message of the model that no result has covered. */
interface Said extends Pick<Assistant, "messageId" | "model" | "usage"> {
  readonly sessionId: string
  readonly charge: Charge
}

/**
 * What one process has used, as it tells it: looks at every batch that it prints, whoever it is for, and books what a
 * result says before the batch is handed on.
 */
export class Account {
  private readonly books: Bookkeeper
  private readonly now: () => number
  private current: Charge = nobody
  private apiKeySource = ""
  private sessionId = ""
  private lastResult: string | undefined
  private results = 0
  /** By message and model: a message that goes on with another model is charged for both. */
  private said = new Map<string, Said>()
  /** Messages of subagents that were begun, and told in full only after a result had covered them. */
  private begun = new Set<string>()
  private covered = new Set<string>()

  constructor(books: Bookkeeper, now: () => number) {
    this.books = books
    this.now = now
  }

  /** From now on it works for this one. */
  charge(to: Charge): void {
    this.current = to
  }

  /** `undefined` when nothing is to be booked. What it gives is done before the batch goes on. */
  look(messages: ReadonlyArray<Message>): Effect.Effect<void> | undefined {
    if (this.books.idle) return undefined
    let due: Effect.Effect<void> | undefined
    for (const message of messages) {
      switch (message._tag) {
        case "Init":
          this.apiKeySource = message.apiKeySource
          break
        case "Text":
        case "Thinking":
        case "ToolUse":
          if (message.parentToolUseId !== undefined) this.begun.add(message.messageId)
          break
        case "Assistant":
          this.saw(message)
          break
        case "Result": {
          const booking = this.result(message)
          due = due === undefined ? booking : Effect.zipRight(due, booking)
        }
      }
    }
    return due
  }

  /** Nothing more comes of it. What no result has covered is booked as an estimate; `cut` was never told in full. */
  close(cut: ReadonlyArray<Pick<Assistant, "messageId" | "model" | "usage">> = []): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.books.idle) return Effect.void
      for (const message of cut) this.saw({ ...message, sessionId: this.sessionId })
      const said = [...this.said.values()]
      this.said.clear()
      const at = this.now()
      return Effect.zipRight(
        this.books.book(said.map((one): UsageEntry => {
          const costUsd = this.price(one.model, one.usage, at)
          return {
            ...this.entry(one.charge, at, one.sessionId),
            entryId: `${one.sessionId}/${one.messageId}/${one.model}`,
            basis: "estimated",
            model: one.model,
            usage: { ...one.usage, webSearchRequests: 0 },
            costUsd,
            listUsd: costUsd
          }
        })),
        this.books.settle
      )
    })
  }

  private saw(message: Pick<Assistant, "messageId" | "model" | "usage" | "sessionId">): void {
    const { messageId, model, sessionId, usage } = message
    this.begun.delete(messageId)
    if (this.covered.delete(messageId) || isNothing(usage)) return
    if (sessionId !== "") this.sessionId = sessionId
    this.said.set(`${messageId} ${model}`, { messageId, model, usage, sessionId, charge: this.current })
  }

  /** A result that is told again is no other one. */
  private result(result: Result): Effect.Effect<void> {
    if (result.uuid !== undefined && result.uuid === this.lastResult) return Effect.void
    this.lastResult = result.uuid
    this.sessionId = result.sessionId
    const said = [...this.said.values()]
    this.said.clear()
    this.covered = this.begun
    this.begun = new Set()
    const first = this.results++ === 0
    const at = this.now()
    const id = result.uuid ?? crypto.randomUUID()
    const to = result.origin === undefined ? this.current : { ...this.current, callId: "", turnId: undefined }
    const entries = (used: Readonly<Record<string, ModelUsage>> | undefined) =>
      Object.entries(used ?? { "": undefined }).map(([name, usage]): UsageEntry => {
        const model = name === "" ? onlyModelOf(said) : name
        const listUsd = usage === undefined ? undefined : this.price(model, usage, at, said)
        const told = usage === undefined ? result.costUsd : usage.costUsd
        return {
          ...this.entry(to, at, result.sessionId),
          entryId: `${id}/${name}`,
          basis: "reported",
          model,
          usage: usage === undefined ? undefined : tokensOf(usage),
          costUsd: result.unpriced?.includes(name) === true ? listUsd : told,
          listUsd
        }
      })
    const { turnUsage } = result
    if (!first || turnUsage === undefined || !mayHoldMore(result, turnUsage, said)) {
      return this.books.book(entries(turnUsage))
    }
    // It may have taken over what earlier processes of the session have used. Where nobody says so, it is as it was told.
    return Effect.uninterruptible(
      Effect.flatMap(
        this.books.bookedFor(result.sessionId),
        (earlier) => this.books.book(entries(withoutEarlier(turnUsage, earlier, said)))
      )
    )
  }

  private entry({ batchId, callId, tags, turnId }: Charge, at: number, sessionId: string) {
    return { at, sessionId, callId, turnId, batchId, tags, apiKeySource: this.apiKeySource }
  }

  /** By the list; undefined also where requests of different lengths have different prices. */
  private price(
    model: string,
    usage: Usage & Partial<ModelUsage>,
    at: number,
    said: ReadonlyArray<Said> = []
  ): number | undefined {
    const prompts = said.filter((one) => bare(one.model) === bare(model)).map(({ usage }) => promptsOf([usage]))
    const cost = (promptTokens?: number) =>
      Option.getOrUndefined(this.books.pricing.costOf(model, usage, { at, promptTokens }))
    if (prompts.length === 0) return cost()
    const [shortest, longest] = [cost(Math.min(...prompts)), cost(Math.max(...prompts))]
    return shortest === longest ? longest : undefined
  }
}

// ---------------------------------------------------------------------------

const nobody: Charge = { callId: "", turnId: undefined, batchId: undefined, tags: [] }

const tokensOf = ({ webSearchRequests, ...usage }: ModelUsage) => ({ ...addUsage(noUsage, usage), webSearchRequests })

/** Messages do not have a model's suffix. */
const bare = (model: string): string => model.replace(/\[\w+\]$/, "")

const onlyModelOf = (said: ReadonlyArray<Said>): string => {
  const models = new Set(said.map(({ model }) => model))
  return models.size === 1 ? [...models][0] ?? "" : ""
}

/** All that was counted so far is this turn's, and it is more than its messages show. */
const mayHoldMore = (
  { modelUsage }: Result,
  turnUsage: NonNullable<Result["turnUsage"]>,
  said: ReadonlyArray<Said>
): boolean => {
  const messages = promptsOf(said.map(({ usage }) => usage))
  const counted = promptsOf(Object.values(turnUsage))
  return messages > 0 && counted > messages && counted === promptsOf(Object.values(modelUsage))
}

/**
 * What a process has used itself, where its first figures go on from those that are booked for its session: they do when
 * what is left without these is what its messages show. The figures alone do not tell; a process of 2.1.197 starts at
 * zero, and later ones say what is theirs.
 */
const withoutEarlier = (
  used: Readonly<Record<string, ModelUsage>>,
  earlier: ReadonlyArray<UsageGroup>,
  said: ReadonlyArray<Said>
): Readonly<Record<string, ModelUsage>> => {
  const booked = promptsOf(earlier)
  const left = promptsOf(Object.values(used)) - booked - promptsOf(said.map(({ usage }) => usage))
  const holds = booked > 0 && Math.abs(left) <= booked / 100 && earlier.every(({ key, costUsd, outputTokens }) => {
    const now = used[key]
    return now !== undefined && now.outputTokens >= outputTokens && now.costUsd >= costUsd - 1e-9
  })
  if (!holds) return used
  const rest: Record<string, ModelUsage> = {}
  for (const [model, usage] of Object.entries(used)) {
    const before = earlier.find(({ key }) => key === model)
    const own = before === undefined ? usage : minus(usage, {
      ...before,
      contextWindow: undefined,
      costUsd: Math.min(before.costUsd, usage.costUsd)
    })
    if (!isNothing(own)) rest[model] = own
  }
  return rest
}
