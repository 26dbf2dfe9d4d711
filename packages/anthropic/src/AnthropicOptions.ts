/** What the API's client is made with. To check it loads nothing of that client. */
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as Config from "effect/Config"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"

export interface AnthropicOptions {
  /** It is sent to the API and told to nobody else. */
  readonly apiKey: Redacted.Redacted
  /** Default: `https://api.anthropic.com`. */
  readonly baseUrl?: string | undefined
  /** For calls that name none: an alias or an id. Default: `default`, see `ModelAlias`. */
  readonly model?: string | undefined
  /** Tokens of an answer at the most, for calls that do not say; a thinking budget comes on top. Default: 32,000. */
  readonly maxTokens?: number | undefined
  /** Default: the host's. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** With all defaults. */
export interface Checked extends AnthropicOptions {
  readonly baseUrl: string
  readonly model: string
  readonly maxTokens: number
}

/** The key in `ANTHROPIC_API_KEY`, and the API at `ANTHROPIC_BASE_URL` where that is set. */
export const fromEnvironment: Config.Config<AnthropicOptions> = Config.all({
  apiKey: Config.redacted("ANTHROPIC_API_KEY"),
  baseUrl: Config.option(Config.nonEmptyString("ANTHROPIC_BASE_URL"))
}).pipe(Config.map(({ apiKey, baseUrl }) => ({ apiKey, baseUrl: Option.getOrUndefined(baseUrl) })))

/** Options that are known to be good. */
export const decode = (options: AnthropicOptions): Either.Either<Checked, InvalidOptionsError> => {
  const { baseUrl = "https://api.anthropic.com", maxTokens = 32_000, model = "default" } = options
  if (!/^[\x21-\x7e]+$/.test(Redacted.value(options.apiKey))) {
    return invalid("apiKey", "it is empty, or has what no key has", "Make one in the Anthropic console.")
  }
  if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol)) {
    return invalid("baseUrl", "it must be a URL with http: or https:", "Leave it out for the API itself.")
  }
  if (!Number.isInteger(maxTokens) || maxTokens <= 0) {
    return invalid("maxTokens", "it must be a whole number above 0", "Left out it is 32,000.")
  }
  if (model.trim() === "") return invalid("model", "it must not be empty", "Left out it is `default`.")
  return Either.right({ ...options, baseUrl, maxTokens, model })
}

// ---------------------------------------------------------------------------

const invalid = (field: string, detail: string, hint: string) =>
  Either.left(new InvalidOptionsError({ field, detail, hint }))
