/** A prompt, an answer or a tool's input as the value of an attribute. */
export const contentOf = (content: unknown): string => {
  if (typeof content === "string") return content
  try {
    return JSON.stringify(content) ?? ""
  } catch {
    return ""
  }
}

/** A message as OpenTelemetry writes those of a conversation. */
export const messagesOf = (role: "user" | "assistant", content: unknown): string =>
  contentOf([{
    role,
    parts: typeof content === "string" ? [{ type: "text", content }] : content
  }])
