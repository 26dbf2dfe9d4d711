import { decode, encode } from "@toon-format/toon"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { structuralRegion } from "effect/Utils"
import type { EncoderOptions } from "../ContextEncoder.js"

/**
 * Plain data as TOON. There is none of what is nested too deeply, and of half a character, which would not survive the way
 * to the model.
 */
export const toonOf = (plain: unknown, delimiter: NonNullable<EncoderOptions["delimiter"]>): string | undefined =>
  Either.getOrUndefined(Either.try(() => encode(plain, { delimiter })))

/** Whether the text gives the data back. Looking costs 5 ms for 100 KB. */
export const givesBack = (toon: string, plain: unknown): boolean =>
  Either.getOrElse(Either.try(() => structuralRegion(() => Equal.equals(decode(toon), plain))), () => false)
