import * as Effect from "effect/Effect"
import type { QueryOptions } from "../AgentOptions.js"
import type { Init, Message } from "../Message.js"
import { BillingMismatchError, type Payer } from "../MoneyError.js"
import { isRecord } from "./guard.js"

type Wanted = Pick<QueryOptions, "billing">

/**
 * Goes on when the one whom the CLI names in its answer to `initialize` is to pay. The start of a turn says less: of a
 * login, a bearer token and a cloud alike that there is no key.
 */
export const assertPayer = (
  { billing }: Wanted,
  initialized: unknown
): Effect.Effect<void, BillingMismatchError> => {
  if (billing === undefined) return Effect.void
  const { apiKeySource, payer } = payerOf(isRecord(initialized) ? initialized["account"] : undefined)
  return payer === billing ? Effect.void : Effect.fail(refusal(billing, payer, apiKeySource))
}

/** A turn that begins says that it is another one by now. */
export const contradiction = (
  { billing }: Wanted,
  messages: ReadonlyArray<Message>
): BillingMismatchError | undefined => {
  if (billing === undefined) return undefined
  const init = messages.find((message): message is Init => message._tag === "Init" && contradicts(billing, message))
  return init === undefined
    ? undefined
    : refusal(billing, init.apiKeySource === "none" ? "unknown" : "apiKey", init.apiKeySource)
}

// ---------------------------------------------------------------------------

const contradicts = (billing: "subscription" | "apiKey", { apiKeySource }: Init): boolean =>
  apiKeySource !== "" && (billing === "apiKey") === (apiKeySource === "none")

const payerOf = (account: unknown): { readonly payer: Payer; readonly apiKeySource: string } => {
  if (!isRecord(account)) return { payer: "unknown", apiKeySource: "none" }
  const text = (name: string): string => {
    const value = account[name]
    return typeof value === "string" && value !== "" ? value : "none"
  }
  const apiKeySource = text("apiKeySource")
  const of = (payer: Payer) => ({ payer, apiKeySource })
  const provider = text("apiProvider")
  if (provider !== "none" && provider !== "firstParty") return of("cloud")
  // A key was seen to be used before any login.
  if (apiKeySource !== "none") return of("apiKey")
  const tokenSource = text("tokenSource")
  if (tokenSource.startsWith("CLAUDE_CODE_OAUTH_TOKEN")) return of("subscription")
  if (text("subscriptionType") !== "none" || tokenSource === "claude.ai") return of("subscription")
  if (tokenSource !== "none") return of("token")
  // A login that has no plan, or one of a version that does not say.
  return of(text("email") === "none" ? "nobody" : "unknown")
}

const refusal = (expected: "subscription" | "apiKey", found: Payer, apiKeySource: string): BillingMismatchError =>
  new BillingMismatchError({ expected, found, apiKeySource, hint: hintOf(expected, found, apiKeySource) })

const hintOf = (expected: "subscription" | "apiKey", found: Payer, apiKeySource: string): string => {
  if (found === "unknown") return "Look at claude auth status, or update the CLI: claude update."
  if (expected === "apiKey") return "Give a key in the CLI's environment: set ANTHROPIC_API_KEY."
  switch (found) {
    case "apiKey":
      return apiKeySource.startsWith("ANTHROPIC")
        ? `Remove ${apiKeySource} from the CLI's environment: env: { ${apiKeySource}: undefined }.`
        : `Remove ${apiKeySource} from the CLI's settings, or log out of the key: claude auth logout.`
    case "token":
      return "Remove ANTHROPIC_AUTH_TOKEN from the CLI's environment: env: { ANTHROPIC_AUTH_TOKEN: undefined }."
    case "cloud":
      return "Remove CLAUDE_CODE_USE_BEDROCK, CLAUDE_CODE_USE_VERTEX and the like from the CLI's environment."
    default:
      return "Log in: run claude and use /login."
  }
}
