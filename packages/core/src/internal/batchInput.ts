import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BatchInput, BatchItem } from "../Batch.js"
import type { Prompt } from "../Claude.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import { wellFormed } from "../SessionRecord.js"

/** The next items, or the end. */
export type Read<E, R> = Effect.Effect<ReadonlyArray<BatchItem | Prompt>, Option.Option<E>, R>

/** Reads one by one. */
export const read = <E, R>(
  items: BatchInput<E, R>
): Effect.Effect<Read<E, R>, InvalidOptionsError, Scope.Scope | R> => {
  if (isStream(items)) return Effect.map(Stream.toPull(Stream.rechunk(items, 1)), Effect.map(Chunk.toReadonlyArray))
  if (!isIterable(items)) return Effect.fail(noInput)
  return Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => items[Symbol.iterator]()),
      (iterator) => Effect.sync(() => iterator.return?.())
    ),
    (iterator) =>
      Effect.suspend(() => {
        const next = iterator.next()
        return next.done === true ? Effect.fail(Option.none()) : Effect.succeed([next.value])
      })
  )
}

/** What was given, as an item; what is none becomes one that fails by its prompt. */
export const itemOf = (given: BatchItem | Prompt): BatchItem => isItem(given) ? given : { prompt: given }

/** The same for the same input, and for every store. */
export const keyOf = ({ key, options, prompt }: BatchItem, index: number): string =>
  key === undefined
    ? `${index}-${(Hash.string(textOf([prompt, options])) >>> 0).toString(16).padStart(8, "0")}`
    : wellFormed(key)

// ---------------------------------------------------------------------------

const isStream = <E, R>(items: BatchInput<E, R>): items is Stream.Stream<BatchItem | Prompt, E, R> =>
  Predicate.hasProperty(items, Stream.StreamTypeId)

/** A text is its letters, which nobody means. */
const isIterable = (items: unknown): items is Iterable<unknown> =>
  Predicate.isIterable(items) && !Predicate.isString(items)

const isItem = (given: BatchItem | Prompt): given is BatchItem => Predicate.hasProperty(given, "prompt")

/** Without what has no text, such as handlers. */
const textOf = (value: unknown): string => {
  try {
    return JSON.stringify(value)
  } catch {
    return ""
  }
}

const noInput = new InvalidOptionsError({
  field: "items",
  detail: "they are neither a list nor a Stream",
  hint: "Give an array of prompts, any other iterable, or a Stream."
})
