import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type { QueryOptions } from "../AgentOptions.js"
import type { BatchOutcome } from "../Batch.js"
import type { BatchRecord } from "../BatchRepository.js"
import { ClaudeError, SessionStoreError } from "../ClaudeError.js"
import { Result } from "../Message.js"

type OutputSchema = QueryOptions["outputSchema"]

/** An answer as it is stored: what was decoded is encoded again. */
export const storedResult = (result: Result, outputSchema: OutputSchema): unknown =>
  result.structuredOutput === undefined || !Schema.isSchema(outputSchema)
    ? result
    : {
      ...result,
      structuredOutput: Either.getOrElse(
        Schema.encodeUnknownEither(outputSchema)(result.structuredOutput),
        () => result.structuredOutput
      )
    }

export const storedError = (error: ClaudeError): unknown => encodeError(error)

/** The end of an item as its record has it. */
export const restoredOutcome = (record: BatchRecord, outputSchema: OutputSchema): BatchOutcome => {
  switch (record.status) {
    case "completed": {
      const result = Either.getOrUndefined(decodeResult(record.result))
      if (result === undefined) return unreadable(record, "answer")
      if (result.structuredOutput === undefined || !Schema.isSchema(outputSchema)) return { _tag: "Completed", result }
      return Either.match(Schema.decodeUnknownEither(outputSchema)(result.structuredOutput), {
        onLeft: () => unreadable(record, "structured output"),
        onRight: (structuredOutput) => ({ _tag: "Completed", result: { ...result, structuredOutput } })
      })
    }
    case "failed":
      return Either.match(decodeError(record.error), {
        onLeft: () => unreadable(record, "error"),
        onRight: (error) => ({ _tag: "Failed", error })
      })
    default:
      return { _tag: "Cancelled", reason: "item" }
  }
}

// ---------------------------------------------------------------------------

const encodeError = Schema.encodeSync(ClaudeError)
const decodeError = Schema.decodeUnknownEither(ClaudeError)
/** JSON has no `undefined`. */
const decodeResult = Schema.decodeUnknownEither(Result, { exact: false, onExcessProperty: "preserve" })

const unreadable = ({ key }: BatchRecord, what: string): BatchOutcome => ({
  _tag: "Failed",
  error: new SessionStoreError({
    operation: "claim",
    reason: "Corrupt",
    detail: `the ${what} of the batch item "${key}" cannot be read`,
    hint: "Another version wrote it, or its output schema has changed: run the item under another key."
  })
})
