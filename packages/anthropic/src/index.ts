// Written by scripts/barrels.mjs
export * as AnthropicClaude from "./AnthropicClaude.js"
export * as AnthropicOptions from "./AnthropicOptions.js"
export * as ModelAlias from "./ModelAlias.js"
export * as OptionSupport from "./OptionSupport.js"
