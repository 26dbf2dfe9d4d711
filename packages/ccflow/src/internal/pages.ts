import type { SessionFilter } from "@ccflow/core/SessionFilter"
import type { SessionRecord } from "@ccflow/core/SessionRecord"
import type { SessionPage } from "@ccflow/core/SessionRepository"

/** What the filter holds for, however many pages that is. */
export async function* everyOne(
  list: (filter: SessionFilter) => Promise<SessionPage>,
  filter: SessionFilter = {}
): AsyncGenerator<SessionRecord, void> {
  let { after } = filter
  do {
    const { next, sessions } = await list({ ...filter, after })
    yield* sessions
    after = next
  } while (after !== undefined)
}
