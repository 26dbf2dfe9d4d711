import { decode, encode } from "@toon-format/toon"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import { structuralRegion } from "effect/Utils"
import type { EncoderOptions } from "../ContextEncoder.js"

/** Plain data as TOON. None of what is nested too deeply, or holds half a character: that would not reach the model. */
export const toonOf = (plain: unknown, delimiter: NonNullable<EncoderOptions["delimiter"]>): string | undefined =>
  Either.getOrUndefined(Either.try(() => encode(plain, { delimiter })))

/** Whether the text gives the data back. Looking costs 5 ms for 100 KB. */
export const givesBack = (toon: string, plain: unknown): boolean =>
  Either.getOrElse(Either.try(() => structuralRegion(() => Equal.equals(decode(toon), plain))), () => false)
