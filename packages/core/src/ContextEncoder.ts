/**
 * Data for the model, as text: TOON (a table where JSON repeats every name) when that has fewer tokens, else compact JSON.
 * Either says what `JSON.stringify` would, no more and no less: what TOON could not give back is told as JSON.
 */
import { decode } from "@toon-format/toon"
import * as Context from "effect/Context"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { InvalidOptionsError } from "./ClaudeError.js"
import { givesBack, toonOf } from "./internal/toon.js"
import type { ContextSavings } from "./Message.js"

/** Data as the model gets it, and what each of the two encodings comes to. */
export interface Encoded extends ContextSavings {
  /** Without label and fence. */
  readonly text: string
}

/** How contexts are encoded. */
export interface EncoderOptions {
  /** `json`: TOON is not tried. Default: `auto`, whichever has fewer tokens. */
  readonly format?: "auto" | "json" | undefined
  /** Between the values of a row, in TOON. Default: a comma. */
  readonly delimiter?: "," | "\t" | "|" | undefined
  /** A tokenizer of one's own. Where it throws, or gives no number, the estimate counts. Default: `estimateTokens`. */
  readonly countTokens?: ((text: string) => number) | undefined
}

/** How the contexts of queries and turns are encoded. It has a default: provide `layer` only to have it otherwise. */
export class ContextEncoder extends Context.Reference<ContextEncoder>()("@ccflow/core/ContextEncoder", {
  defaultValue: () => make()
}) {}

export interface ContextEncoderService {
  /** The data itself is not touched. Fails for what JSON cannot hold: a cycle, a BigInt. */
  readonly encode: (data: unknown) => Either.Either<Encoded, InvalidOptionsError>
}

export const make = (
  { delimiter = ",", format = "auto", countTokens: own }: EncoderOptions = {}
): ContextEncoderService => {
  const count = own === undefined ? estimateTokens : countedBy(own)
  return {
    encode: (data) =>
      Either.map(toJson(data), (json) => {
        const jsonTokens = count(json)
        const asJson: Encoded = { format: "json", text: json, jsonTokens, toonTokens: jsonTokens, savedTokens: 0 }
        const plain: unknown = JSON.parse(json)
        const toon = format === "json" ? undefined : toonOf(plain, delimiter)
        if (toon === undefined) return asJson
        const toonTokens = count(`${hint}\n${toon}`)
        const figures = { jsonTokens, toonTokens, savedTokens: jsonTokens - toonTokens }
        if (toonTokens >= jsonTokens) return { ...asJson, ...figures }
        return givesBack(toon, plain) ? { format: "toon", text: toon, ...figures } : asJson
      })
  }
}

export const layer = (options: EncoderOptions): Layer.Layer<never> => Layer.succeed(ContextEncoder, make(options))

/** Data as the model gets it. */
export const encode = (data: unknown, options?: EncoderOptions): Either.Either<Encoded, InvalidOptionsError> =>
  make(options).encode(data)

/** The data as TOON, whether that is shorter or not; a clear error where TOON cannot hold it. */
export const toToon = (
  data: unknown,
  delimiter: NonNullable<EncoderOptions["delimiter"]> = ","
): Either.Either<string, InvalidOptionsError> =>
  Either.flatMap(toJson(data), (json) => {
    const plain: unknown = JSON.parse(json)
    const toon = toonOf(plain, delimiter)
    return toon !== undefined && givesBack(toon, plain)
      ? Either.right(toon)
      : Either.left(invalid("TOON cannot hold it without loss", "It is nested too deeply, or is no whole Unicode."))
  })

/** The data of a TOON text; strictly: a row that is missing is an error that names its line. */
export const fromToon = (toon: string): Either.Either<unknown, InvalidOptionsError> =>
  Either.try({
    try: (): unknown => decode(toon),
    catch: (error) =>
      invalid(
        `it is not TOON${error instanceof Error && "line" in error ? `: line ${String(error.line)}` : ""}`,
        "See https://toonformat.dev for what it looks like."
      )
  })

/**
 * How many tokens a text has, about: no model's own tokenizer is public. Of data, within 15 % of two tokenizers that are,
 * and both encodings are off in the same direction; of text outside ASCII it can be off by half, and of some scripts by all of it.
 */
export const estimateTokens = (text: string): number => {
  let tokens = 0
  let at = 0
  while (at < text.length) {
    const start = at
    const kind = kindOf(text.charCodeAt(at))
    let lines = false
    while (at < text.length && kindOf(text.charCodeAt(at)) === kind) {
      const code = text.charCodeAt(at++)
      if (code === 0x0A || code === 0x0D) lines = true
      if (kind === "other") tokens += code >= 0x2E80 ? 1 : 0.6
    }
    const length = at - start
    if (kind === "letter") tokens += Math.ceil(length / 7)
    else if (kind === "digit" || kind === "mark") tokens += Math.ceil(length / 3)
    else if (kind === "space") tokens += lines ? 1.5 : length === 1 && text[start] === " " ? 0 : 1
  }
  return Math.ceil(tokens)
}

/** A block that what is in it cannot end: the fence is longer than any run of backticks inside. */
export const toBlock = (label: string, { format, text }: Pick<Encoded, "format" | "text">): string => {
  const longest = (text.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 2)
  const fence = "`".repeat(longest + 1)
  return `[${label}]\n${format === "toon" ? `${hint}\n` : ""}${fence}${format}\n${text}\n${fence}`
}

// ---------------------------------------------------------------------------

/** What a model needs to know that has seen little of it. */
const hint = "TOON: indentation nests; name[2]{a,b}: heads 2 rows with the values of a and b."

const invalid = (detail: string, whatToDo: string) =>
  new InvalidOptionsError({ field: "context", detail, hint: whatToDo })

const toJson = (data: unknown): Either.Either<string, InvalidOptionsError> =>
  Either.try({
    try: () => JSON.stringify(data) ?? "null",
    catch: () => invalid("it cannot be written as JSON", "Give plain data: no cycles, no BigInt.")
  })

const countedBy = (own: (text: string) => number) => (text: string): number => {
  const counted = Either.getOrUndefined(Either.try(() => own(text)))
  return counted !== undefined && Number.isFinite(counted) ? counted : estimateTokens(text)
}

/**
 * Byte-pair tokenizers split text by classes of characters: a word of up to seven letters, three digits and three marks
 * are about one token each, a new line with its indentation one and a half, and a single space belongs to the word behind.
 */
type Kind = "letter" | "digit" | "mark" | "space" | "other"

const kindOf = (code: number): Kind => code < 0x80 ? kinds[code]! : "other"

const kinds: ReadonlyArray<Kind> = Array.from({ length: 0x80 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/[a-z]/i.test(character)) return "letter"
  if (/\d/.test(character)) return "digit"
  return /\s/.test(character) ? "space" : "mark"
})
