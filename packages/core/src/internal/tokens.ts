import type { Prompt } from "../Claude.js"
import type { Usage } from "../Message.js"

/**
 * About how many tokens a prompt has: four characters each, as English text has it, and what the API says of a picture.
 */
export const estimate = (prompt: Prompt): number =>
  Math.ceil(
    typeof prompt === "string"
      ? prompt.length / charactersPerToken
      : prompt.reduce((sum, block) => sum + ofBlock(block), 0)
  )

/** What the API's limits count: what it reads from its cache is free. */
export const counted = ({ cacheCreationInputTokens, inputTokens, outputTokens }: Usage): number =>
  inputTokens + outputTokens + cacheCreationInputTokens

// ---------------------------------------------------------------------------

const charactersPerToken = 4

const perPicture = 1600

const ofBlock = (block: { readonly type: string; readonly [field: string]: unknown }): number =>
  block.type === "image"
    ? perPicture
    : typeof block["text"] === "string"
    ? block["text"].length / charactersPerToken
    : JSON.stringify(block).length / charactersPerToken
