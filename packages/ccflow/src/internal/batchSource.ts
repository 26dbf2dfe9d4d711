import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import * as Input from "./batchInput.js"
import { invalidOption } from "./invalidOption.js"

/** Where prompts come from. */
export interface Source {
  /** Nothing where they come from stdin. */
  readonly path: string | undefined
  readonly reading: Input.Reading
  /** Prompts that are read before they can begin: those with a priority go first among these. */
  readonly readAhead: number | undefined
}

/** Without a path: stdin, which may never end. */
export const make = (path: string | undefined, reading: Input.Reading): Source => ({
  path,
  reading: { ...reading, endless: path === undefined },
  readAhead: path === undefined ? undefined : 1000
})

export const items = ({ path, reading }: Source): Stream.Stream<Input.Item, InvalidOptionsError> =>
  Stream.unwrapScoped(Effect.map(
    // An iterator cannot be left while it waits for bytes; without what it reads from it ends.
    Effect.acquireRelease(
      Effect.sync(() => path === undefined ? process.stdin : createReadStream(path)),
      (bytes) => Effect.sync(() => bytes.destroy())
    ),
    (bytes) => {
      const iterator = Input.items(bytes as AsyncIterable<Uint8Array>, reading)
      return Stream.repeatEffectOption(Effect.flatMap(
        Effect.mapError(Effect.tryPromise({ try: () => iterator.next(), catch: unreadable }), Option.some),
        (next) => next.done === true ? Effect.fail(Option.none()) : Effect.succeed(next.value)
      ))
    }
  ))

/** How many prompts there are, when all of them can be read. What comes from stdin is not known before. */
export const count = (source: Source): Effect.Effect<number | undefined, InvalidOptionsError> =>
  source.path === undefined ? Effect.succeed(undefined) : Stream.runCount(items(source))

// ---------------------------------------------------------------------------

const unreadable = (error: unknown): InvalidOptionsError =>
  error instanceof InvalidOptionsError
    ? error
    : invalidOption(
      "file",
      error instanceof Error ? error.message : String(error),
      "Name a file that can be read, or - for stdin."
    )
