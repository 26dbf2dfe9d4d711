import { InvalidOptionsError } from "@ccflow/core/ClaudeError"

/** What was written wrongly, what is wrong with it, and what to write. */
export const invalidOption = (field: string, detail: string, hint: string): InvalidOptionsError =>
  new InvalidOptionsError({ field, detail, hint })
