/** Entries of the ledger and sums of them, as rows. What is NULL nobody has told. */
import { wellFormed } from "@ccflow/core/SessionRecord"
import type { UsageEntry, UsageSum } from "@ccflow/core/UsageLedger"
import { tagsOf, type Whole } from "./rows.js"

interface Figures {
  readonly input_tokens: number | null
  readonly output_tokens: number | null
  readonly cache_read_input_tokens: number | null
  readonly cache_creation_input_tokens: number | null
  readonly web_search_requests: number | null
  readonly cost_usd: number | null
  readonly list_usd: number | null
}

/** @internal */
export interface EntryRow extends Figures {
  readonly entry_id: string
  readonly used_at: Whole
  readonly basis: UsageEntry["basis"]
  readonly model: string
  readonly session_id: string
  readonly call_id: string
  readonly turn_id: string | null
  readonly batch_id: string | null
  readonly api_key_source: string
  /** A JSON array. */
  readonly tags: string
}

/** @internal */
export interface SumRow extends Figures {
  readonly estimated_usd: number | null
  readonly unpriced: Whole
  readonly uncounted: Whole
  readonly entries: Whole
}

/** @internal */
export const rowOf = (entry: UsageEntry) => ({
  entry_id: wellFormed(entry.entryId),
  used_at: Math.trunc(entry.at),
  basis: entry.basis,
  model: wellFormed(entry.model),
  input_tokens: told(entry.usage?.inputTokens),
  output_tokens: told(entry.usage?.outputTokens),
  cache_read_input_tokens: told(entry.usage?.cacheReadInputTokens),
  cache_creation_input_tokens: told(entry.usage?.cacheCreationInputTokens),
  web_search_requests: told(entry.usage?.webSearchRequests),
  cost_usd: told(entry.costUsd),
  list_usd: told(entry.listUsd),
  session_id: wellFormed(entry.sessionId),
  call_id: wellFormed(entry.callId),
  turn_id: entry.turnId === undefined ? null : wellFormed(entry.turnId),
  batch_id: entry.batchId === undefined ? null : wellFormed(entry.batchId),
  api_key_source: wellFormed(entry.apiKeySource)
})

/** @internal */
export const readEntry = (row: EntryRow): UsageEntry => ({
  entryId: row.entry_id,
  at: Number(row.used_at),
  basis: row.basis,
  model: row.model,
  usage: row.input_tokens === null ? undefined : {
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens ?? 0,
    cacheReadInputTokens: row.cache_read_input_tokens ?? 0,
    cacheCreationInputTokens: row.cache_creation_input_tokens ?? 0,
    webSearchRequests: row.web_search_requests ?? 0
  },
  costUsd: row.cost_usd ?? undefined,
  listUsd: row.list_usd ?? undefined,
  sessionId: row.session_id,
  callId: row.call_id,
  turnId: row.turn_id ?? undefined,
  batchId: row.batch_id ?? undefined,
  tags: tagsOf(row.tags),
  apiKeySource: row.api_key_source
})

/** A sum of nothing is NULL. @internal */
export const readSum = (row: SumRow): UsageSum => ({
  inputTokens: row.input_tokens ?? 0,
  outputTokens: row.output_tokens ?? 0,
  cacheReadInputTokens: row.cache_read_input_tokens ?? 0,
  cacheCreationInputTokens: row.cache_creation_input_tokens ?? 0,
  webSearchRequests: row.web_search_requests ?? 0,
  costUsd: row.cost_usd ?? 0,
  estimatedUsd: row.estimated_usd ?? 0,
  listUsd: row.list_usd ?? 0,
  unpriced: Number(row.unpriced),
  uncounted: Number(row.uncounted),
  entries: Number(row.entries)
})

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

/** What is no number is not known. */
const told = (value: number | undefined): number | null => value !== undefined && Number.isFinite(value) ? value : null
