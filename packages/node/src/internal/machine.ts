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
  /** In bytes. */
  readonly memory: { readonly total: number; readonly free: number }
  /** The settings that an administrator has made for all. */
  readonly managedSettings: string
  /** Where Linux tells what this process may use. */
  readonly limits: string
}

/** This one. @internal */
export const thisMachine = (): Machine => ({
  platform: process.platform,
  env: { ...process.env },
  cwd: process.cwd(),
  home: homedir(),
  temporary: tmpdir(),
  userId: process.getuid?.(),
  nodeVersion: process.versions.node,
  cores: availableParallelism(),
  memory: { total: totalmem(), free: freemem() },
  managedSettings: managed[process.platform] ?? "/etc/claude-code/managed-settings.json",
  limits: "/proc/self/limits"
})

/** Where the CLI keeps what is the user's own. @internal */
export const configFolder = ({ env, home }: Machine): string => given(env["CLAUDE_CONFIG_DIR"]) ?? join(home, ".claude")

/** @internal */
export const globalConfig = ({ env, home }: Machine): string =>
  join(given(env["CLAUDE_CONFIG_DIR"]) ?? home, ".claude.json")

// ---------------------------------------------------------------------------

const given = (value: string | undefined): string | undefined => value === "" ? undefined : value

const managed: Readonly<Record<string, string>> = {
  darwin: "/Library/Application Support/ClaudeCode/managed-settings.json",
  win32: "C:\\Program Files\\ClaudeCode\\managed-settings.json"
}
