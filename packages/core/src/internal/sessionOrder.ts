/** A listing's conditions and order, for records in memory. */
import type { Prompt } from "../Claude.js"
import { fold, type Listing, orderValue } from "../SessionFilter.js"
import { promptText, type SessionRecord } from "../SessionRecord.js"

export const matches = (listing: Listing, record: SessionRecord, prompts: ReadonlyArray<Prompt>): boolean =>
  (listing.status === undefined || record.status === listing.status) &&
  (listing.model === undefined || record.model === listing.model) &&
  (listing.tags.length === 0 || listing.tags.some((tag) => record.tags.includes(tag))) &&
  (listing.createdAfter === undefined || record.createdAt > listing.createdAfter) &&
  (listing.createdBefore === undefined || record.createdAt < listing.createdBefore) &&
  (listing.updatedAfter === undefined || record.updatedAt > listing.updatedAfter) &&
  (listing.updatedBefore === undefined || record.updatedAt < listing.updatedBefore) &&
  (listing.minTurns === undefined || record.turnCount >= listing.minTurns) &&
  (listing.maxTurns === undefined || record.turnCount <= listing.maxTurns) &&
  (listing.search === "" ||
    [record.title, ...prompts.map(promptText)].some((text) => fold(text).includes(listing.search)))

export const compare = (listing: Listing) => (one: SessionRecord, other: SessionRecord): number =>
  (listing.descending ? -1 : 1) * (
    byValue(orderValue(listing.orderBy, one), orderValue(listing.orderBy, other)) ||
    byValue(one.sessionId, other.sessionId)
  )

/** Whether a session belongs behind the cursor of the page before. */
export const behind = ({ after, descending, orderBy }: Listing, record: SessionRecord): boolean =>
  after === undefined ||
  (byValue(orderValue(orderBy, record), after.value) || byValue(record.sessionId, after.sessionId)) *
        (descending ? -1 : 1) > 0

// ---------------------------------------------------------------------------

/** Text by code points, as databases compare its bytes; JavaScript's `<` puts surrogate pairs before U+E000. */
const byValue = (one: string | number, other: string | number): number => {
  if (one === other) return 0
  if (typeof one === "number" || typeof other === "number") return one < other ? -1 : 1
  const left = [...one]
  const right = [...other]
  const at = left.findIndex((character, index) => character !== right[index])
  if (at < 0) return -1
  return (left[at]?.codePointAt(0) ?? 0) - (right[at]?.codePointAt(0) ?? -1)
}
