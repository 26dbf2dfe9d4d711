/**
 * What a caller sees when its own signal, or `close`, has ended the call: an error with the name that the web gave it.
 */
export const abortError = (reason?: unknown): DOMException =>
  Object.assign(new DOMException("The query was aborted", "AbortError"), { cause: reason })

/** Whether that is what was thrown. @internal */
export const isAbortError = (error: unknown): boolean => error instanceof DOMException && error.name === "AbortError"
