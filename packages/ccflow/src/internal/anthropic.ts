/** What the API's client is loaded by: only who falls back needs it. @internal */
export { layer } from "@ccflow/anthropic/AnthropicClaude"
