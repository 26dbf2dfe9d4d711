import { availableParallelism, freemem, homedir, tmpdir, totalmem } from "node:os"
import { join } from "node:path"

/** What is known of the machine before anything is looked at. */
export interface Machine {
  readonly platform: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly home: string
  readonly temporary: string
  /** `undefined` where there is no such thing. */
  readonly userId: number | undefined
  readonly nodeVersion: string
  readonly cores: number
  /** In bytes; of a container its part. */
  readonly memory: { readonly total: number; readonly free: number }
  /** The settings that an administrator has made for all. */
  readonly managedSettings: string
  /** Where Linux tells what this process may use. */
  readonly limits: string
}

/** This one. */
export const thisMachine = (): Machine => {
  const { cores, memoryBytes } = capacity()
  return {
    platform: process.platform,
    env: { ...process.env },
    cwd: process.cwd(),
    home: homedir(),
    temporary: tmpdir(),
    userId: process.getuid?.(),
    nodeVersion: process.versions.node,
    cores,
    memory: { total: memoryBytes, free: Math.min(freemem(), memoryBytes) },
    managedSettings: managed[process.platform] ?? "/etc/claude-code/managed-settings.json",
    limits: "/proc/self/limits"
  }
}

/** Where the CLI keeps what is the user's own. */
export const configFolder = ({ env, home }: Machine): string => env["CLAUDE_CONFIG_DIR"] || join(home, ".claude")

export const globalConfig = ({ env, home }: Machine): string => join(env["CLAUDE_CONFIG_DIR"] || home, ".claude.json")

/** What counts for how many processes it can hold. */
export interface Capacity {
  readonly cores: number
  readonly memoryBytes: number
}

/**
 * How many CLIs a machine can hold. They wait for the API most of the time, so that a core serves several; each was seen
 * to hold 160 MB at first and 240 MB after 50 turns, and has MCP servers and tools beside it. Half of the memory is left
 * to the rest.
 */
export const processesOn = ({ cores, memoryBytes }: Capacity): number =>
  Math.max(least, Math.min(perCore * cores, Math.floor(memoryBytes / 2 / bytesEach)))

/** Of this machine, or the container's part of it. */
export const capacity = (): Capacity => {
  const constrained = process.constrainedMemory()
  return {
    cores: availableParallelism(),
    // No constraint is 0 in one Node, and more than any machine has in another.
    memoryBytes: constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  }
}

// ---------------------------------------------------------------------------

const managed: Readonly<Record<string, string>> = {
  darwin: "/Library/Application Support/ClaudeCode/managed-settings.json",
  win32: "C:\\Program Files\\ClaudeCode\\managed-settings.json"
}

/** One more than a query that asks another from its tool. */
const least = 2

const perCore = 4

const bytesEach = 512 * 1024 ** 2
