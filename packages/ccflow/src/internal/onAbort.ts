/** Who wants to know of a signal. Node warns where one has more than ten listeners, and a signal may be for many calls. */
const waiting = new WeakMap<AbortSignal, { readonly all: Set<() => void>; readonly tell: () => void }>()

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

/** Runs with a signal of its own that follows the caller's. */
export const following = async <A>(
  signal: AbortSignal | undefined,
  run: (options: { readonly signal?: AbortSignal }) => Promise<A>
): Promise<A> => {
  if (signal === undefined) return run({})
  const own = new AbortController()
  const abort = () => own.abort(signal.reason)
  if (signal.aborted) abort()
  const forget = onAbort(signal, abort)
  try {
    return await run({ signal: own.signal })
  } finally {
    forget()
  }
}

// ---------------------------------------------------------------------------

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
