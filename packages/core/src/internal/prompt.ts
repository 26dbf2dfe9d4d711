import * as Effect from "effect/Effect"
import type { Prompt } from "../Claude.js"
import { InvalidOptionsError } from "../ClaudeError.js"
import { contextBlock } from "./translation.js"

/** @internal */
export const checkPrompt = (prompt: unknown): Effect.Effect<void, InvalidOptionsError> =>
  typeof prompt === "string" && prompt.trim() !== "" || Array.isArray(prompt) && prompt.length > 0
    ? Effect.void
    : Effect.fail(
      new InvalidOptionsError({
        field: "prompt",
        detail: "it must be text or blocks, and not empty",
        hint: "Give the CLI something to do."
      })
    )

/** The data comes after what is asked. @internal */
export const withContext = (prompt: Prompt, context: unknown): Prompt => {
  const block = contextBlock("Turn Context", context)
  if (block === undefined) return prompt
  return typeof prompt === "string" ? `${prompt}\n\n${block}` : [...prompt, { type: "text", text: block }]
}
