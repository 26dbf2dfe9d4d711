import * as Effect from "effect/Effect"
import type { Prompt } from "../Claude.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import { type Encoded, toBlock } from "../ContextEncoder.js"

export const checkPrompt = (prompt: unknown): Effect.Effect<void, InvalidOptionsError> =>
  typeof prompt === "string" && prompt.trim() !== "" || Array.isArray(prompt) && prompt.length > 0
    ? Effect.void
    : Effect.fail(
      new InvalidOptionsError({
        field: "prompt",
        detail: "it must be text or blocks, and not empty",
        hint: "Say what is to be done."
      })
    )

/** The data comes after what is asked. */
export const withContext = (prompt: Prompt, context: Encoded | undefined): Prompt => {
  if (context === undefined) return prompt
  const text = toBlock("Turn Context", context)
  return typeof prompt === "string" ? `${prompt}\n\n${text}` : [...prompt, { type: "text", text }]
}
