import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { BatchClaimed, BatchRecord, BatchRepositoryService, BatchTotals } from "../BatchRepository.js"
import { deadHolders, expiry } from "../SessionLease.js"
import { toJson } from "../SessionRecord.js"
import { addUsage, noUsage } from "./figures.js"

export const make: Effect.Effect<BatchRepositoryService> = Effect.sync(() => {
  const batches = new Map<string, Map<string, BatchRecord>>()
  const recordOf = (batchId: string, key: string) => batches.get(batchId)?.get(key)
  const recordsOf = (batchId: string) => [...batches.get(batchId)?.values() ?? []]

  const put = (record: BatchRecord): BatchRecord => {
    const items = batches.get(record.batchId) ?? new Map<string, BatchRecord>()
    batches.set(record.batchId, items.set(record.key, record))
    return record
  }

  const change = (
    batchId: string,
    key: string,
    holder: string,
    changed: (record: BatchRecord) => BatchRecord
  ): boolean => {
    const record = recordOf(batchId, key)
    if (record?.status !== "running" || record.holder !== holder) return false
    put(changed(record))
    return true
  }

  return {
    claim: (item) =>
      Effect.gen(function*() {
        const { again = [], batchId, endedBy = Infinity, holder, holderIsAlive = () => true, index, key } = item
        const [json = ""] = yield* toJson("claim", [item.prompt])
        const others = recordOf(batchId, key)
        const dead = others?.status === "running" ? yield* deadHolders([others.holder], holderIsAlive) : new Set()
        const now = yield* Clock.currentTimeMillis
        const mine = { holder, expiresAt: expiry(now, item.ttl) }
        const anew = {
          sessionId: item.sessionId,
          committed: false,
          startedAt: now,
          status: "running" as const,
          ...mine
        }
        const found = recordOf(batchId, key)
        if (found === undefined) {
          return claimed(
            "begun",
            put({ batchId, key, index, prompt: JSON.parse(json), attempts: 1, costUsd: 0, usage: noUsage, ...anew })
          )
        }
        if (found.status === "running") {
          return found.holder === holder || found.expiresAt <= now || dead.has(found.holder)
            ? claimed("cut", put({ ...found, ...mine, attempts: found.attempts + 1 }))
            : claimed("busy", found)
        }
        const { endedAt = 0, error, result, ...kept } = found
        if (found.status === "completed" || !again.includes(found.status) || endedAt > endedBy) {
          return claimed("ended", found)
        }
        return claimed("begun", put({ ...kept, ...anew, attempts: found.attempts + 1 }))
      }),

    seen: (batchId, key, holder, { result, ...seen }) =>
      Effect.map(
        asStored("seen", { result }),
        (stored) => change(batchId, key, holder, (record) => ({ ...record, ...seen, ...stored }))
      ),

    end: (batchId, key, holder, { costUsd, error, result, status, usage }) =>
      Effect.gen(function*() {
        const stored = yield* asStored("end", { result, error })
        const endedAt = yield* Clock.currentTimeMillis
        return change(batchId, key, holder, ({ result: _, ...record }) => ({
          ...record,
          ...stored,
          status,
          costUsd,
          usage,
          endedAt
        }))
      }),

    release: (batchId, key, holder) =>
      Effect.sync(() => change(batchId, key, holder, (record) => ({ ...record, expiresAt: 0 }))),

    renew: (batchId, holder, ttl) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const held = recordsOf(batchId).filter((record) => record.status === "running" && record.holder === holder)
        return held.map((record) => put({ ...record, expiresAt: expiry(now, ttl) }).key)
      }),

    get: (batchId, key) => Effect.sync(() => recordOf(batchId, key)),

    list: (batchId, { after, limit = 100 } = {}) =>
      Effect.sync(() => {
        const items = recordsOf(batchId)
          .filter(({ key }) => after === undefined || key > after)
          .sort((one, other) => one.key < other.key ? -1 : 1)
        const page = items.slice(0, limit)
        const last = page.at(-1)
        return { items: page, ...(last === undefined || items.length <= limit ? {} : { next: last.key }) }
      }),

    totals: (batchId) => Effect.sync(() => totalsOf(recordsOf(batchId))),

    delete: (batchId) => Effect.sync(() => batches.delete(batchId))
  }
})

// ---------------------------------------------------------------------------

const claimed = (_tag: BatchClaimed["_tag"], record: BatchRecord): BatchClaimed => ({ _tag, record })

const totalsOf = (records: ReadonlyArray<BatchRecord>): BatchTotals => {
  const count = (status: BatchRecord["status"]) => records.filter((record) => record.status === status).length
  const cost = (some: ReadonlyArray<BatchRecord>) => some.reduce((sum, { costUsd }) => sum + costUsd, 0)
  return {
    running: count("running"),
    completed: count("completed"),
    failed: count("failed"),
    cancelled: count("cancelled"),
    costUsd: cost(records),
    endedCostUsd: cost(records.filter(({ status }) => status !== "running")),
    usage: records.reduce((sum, { usage }) => addUsage(sum, usage), noUsage)
  }
}

/** What JSON makes of it, as every other store gives it back. */
const asStored = (operation: string, values: { readonly result?: unknown; readonly error?: unknown }) => {
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Effect.map(
    toJson(operation, given.map(([, value]) => value)),
    (texts): { readonly result?: unknown; readonly error?: unknown } =>
      Object.fromEntries(given.map(([name], at) => [name, JSON.parse(texts[at] ?? "null")]))
  )
}
