import * as Either from "effect/Either"
import * as Predicate from "effect/Predicate"

/** What the API sends, read with care: what is not as it should be is not there. */
export const parse = (json: string): unknown => Either.getOrUndefined(Either.try((): unknown => JSON.parse(json)))

export const isRecord = (value: unknown): value is Record<string, unknown> => Predicate.isRecord(value)

export const field = (value: unknown, name: string): unknown => isRecord(value) ? value[name] : undefined

export const text = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

export const number = (value: unknown): number | undefined => typeof value === "number" ? value : undefined

export const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []
