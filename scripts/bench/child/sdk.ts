import type { EventEmitter } from "node:events"
import type { Readable, Writable } from "node:stream"

export interface SdkMessage {
  readonly type: string
  readonly subtype?: string
}

/** What the official SDK wants of a process that somebody else has started. */
export interface SdkProcess extends EventEmitter {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly killed: boolean
  readonly exitCode: number | null
  readonly kill: () => boolean
}

interface SdkOptions {
  readonly pathToClaudeCodeExecutable?: string
  readonly includePartialMessages?: boolean
  readonly spawnClaudeCodeProcess?: () => SdkProcess
}

interface Sdk {
  readonly query: (call: {
    readonly prompt: string | AsyncIterable<unknown>
    readonly options: SdkOptions
  }) => AsyncIterable<SdkMessage>
  readonly startup: (call: { readonly options: SdkOptions }) => Promise<{
    readonly query: (prompt: string) => AsyncIterable<SdkMessage>
  }>
}

const name = "@anthropic-ai/claude-agent-sdk"

/** The official SDK, whose types are not part of this workspace. */
export const loadSdk = async (): Promise<Sdk> => {
  const sdk: Sdk = await import(name)
  return sdk
}
