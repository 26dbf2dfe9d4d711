import { type Aborting, checked } from "./given.js"

/** What its own signal, or `close`, ends a call with: an error by the web's name for it, caused by the reason. */
export const abortError = (reason?: unknown): DOMException =>
  Object.assign(
    new DOMException(`The query was aborted${typeof reason === "string" ? `: ${reason}` : ""}`, "AbortError"),
    { cause: reason }
  )

/** Whether that is what was thrown. */
export const isAbortError = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError"

/** Tells when the signal is aborted, until what it gives is called. One listener serves all who wait. */
export const onAbort = (signal: AbortSignal | undefined, listener: () => void): () => void => {
  if (signal === undefined) return () => {}
  const { all, tell } = waiting.get(signal) ?? listenTo(signal)
  all.add(listener)
  return () => {
    if (!all.delete(listener) || all.size > 0) return
    waiting.delete(signal)
    signal.removeEventListener("abort", tell)
  }
}

/**
 * Runs with a controller of its own that follows the caller's signal. What fails then fails by an `AbortError` with the reason; what
 * was aborted before is not begun.
 */
export const following = async <A>(options: Aborting, run: (own: AbortController) => Promise<A>): Promise<A> => {
  const { signal } = checked(options)
  const own = new AbortController()
  if (signal === undefined) return run(own)
  const aborted = () => signal.aborted
  if (aborted()) throw abortError(signal.reason)
  const forget = onAbort(signal, () => own.abort(signal.reason))
  try {
    return await run(own)
  } catch (error) {
    throw aborted() ? abortError(signal.reason) : error
  } finally {
    forget()
  }
}

// ---------------------------------------------------------------------------

/** Who wants to know of a signal. Node warns where one has more than ten listeners, and a signal may be for many calls. */
const waiting = new WeakMap<AbortSignal, { readonly all: Set<() => void>; readonly tell: () => void }>()

const listenTo = (signal: AbortSignal) => {
  const all = new Set<() => void>()
  const entry = {
    all,
    tell: () => {
      waiting.delete(signal)
      for (const listener of [...all]) listener()
    }
  }
  waiting.set(signal, entry)
  signal.addEventListener("abort", entry.tell, { once: true })
  return entry
}
