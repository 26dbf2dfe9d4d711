import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Logs from "@ccflow/core/Logs"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { invalidOption } from "./invalidOption.js"

/** Log lines on stderr: what a client asks for, over what the environment says. */
export const logs = (level: Logs.Level | undefined, environment: Effect.Effect<Logs.LogOptions, InvalidOptionsError>) =>
  Layer.unwrapEffect(
    Effect.map(
      Effect.zipRight(oneOf("logLevel", level, levels), environment),
      (said) => Logs.layer({ ...said, level: level ?? said.level })
    )
  )

/** How a client's data is written for the model. */
export const contextEncoder = (options: ContextEncoder.EncoderOptions = {}) =>
  Layer.unwrapEffect(Effect.gen(function*() {
    const { countTokens, delimiter, format } = options
    yield* oneOf("contextEncoder.format", format, formats)
    yield* oneOf("contextEncoder.delimiter", delimiter, delimiters)
    if (countTokens !== undefined && typeof countTokens !== "function") {
      return yield* invalid("contextEncoder.countTokens", "it must be a function")
    }
    return ContextEncoder.layer(options)
  }))

// ---------------------------------------------------------------------------

/** Each of them, so that none can be forgotten here. */
type Known<Name extends string | undefined> = Readonly<Record<NonNullable<Name>, true>>

const levels: Known<Logs.Level> = { none: true, error: true, warning: true, info: true, debug: true, trace: true }
const formats: Known<ContextEncoder.EncoderOptions["format"]> = { auto: true, json: true }
const delimiters: Known<ContextEncoder.EncoderOptions["delimiter"]> = { ",": true, "\t": true, "|": true }

const oneOf = <Name extends string>(field: string, given: Name | undefined, known: Known<Name>) =>
  given === undefined || Object.hasOwn(known, given)
    ? Effect.void
    : invalid(field, `it must be ${Object.keys(known).map((name) => JSON.stringify(name)).join(" or ")}`)

const invalid = (field: string, detail: string) => invalidOption(field, detail, "See ClientConfig.")
