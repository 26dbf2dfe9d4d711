import { type Client, type ClientConfig, createClient } from "ccflow"
import type { SandboxOptions } from "./Sandbox.js"
import { sandboxEnvironment } from "./Sandbox.js"

export interface ThroughLibrary extends SandboxOptions {
  /** The real CLI's executable. */
  readonly path: string
  /** Options of the client beside those that keep it in the sandbox. */
  readonly config?: ClientConfig
}

/** The client's options with which the CLI sees the sandbox's environment and no variable of this process. */
export const sandboxedOptions = ({ config, path, ...sandbox }: ThroughLibrary): ClientConfig => ({
  ...config,
  cliPath: path,
  env: {
    ...Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined])),
    ...sandboxEnvironment({ ...sandbox, extra: { ...sandbox.extra, ...definedOf(config?.env) } })
  }
})

/** The library's own client, on the real CLI in the sandbox. Every query is one run, whatever becomes of those before. */
export const throughLibrary = (options: ThroughLibrary): Client =>
  createClient({ retry: false, circuitBreaker: false, ...sandboxedOptions(options) })

const definedOf = (env: ClientConfig["env"]): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(env ?? {}).flatMap(([name, value]) => value === undefined ? [] : [[name, value]]))
