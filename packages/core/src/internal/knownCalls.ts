import type { Common, Telling } from "../Events.js"

/** What all events of a call are told with, as far as it is known. */
interface KnownCall {
  readonly traceId: string | undefined
  /** Empty where it is not known yet. */
  readonly sessionId: () => string
}

/** Until it is forgotten. */
export const remember = (callId: string, call: KnownCall): void => {
  calls.set(callId, call)
}

export const forget = (callId: string): void => {
  calls.delete(callId)
}

/** What is known of an event's call. */
export const callOf = ({ callId }: Telling): Pick<Common, "sessionId" | "traceId"> | undefined => {
  const call = callId === undefined ? undefined : calls.get(callId)
  if (call === undefined) return undefined
  const { traceId } = call
  const sessionId = call.sessionId()
  return { ...(sessionId === "" ? {} : { sessionId }), ...(traceId === undefined ? {} : { traceId }) }
}

// ---------------------------------------------------------------------------

/** Those that somebody listens to, while they last. */
const calls = new Map<string, KnownCall>()
