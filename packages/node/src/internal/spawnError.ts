import { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import { statSync } from "node:fs"

/**
 * What the operating system's refusal means. `ENOENT` alone does not say whether the executable or the working directory
 * is missing, and `EACCES` is also what a directory gives.
 *
 * @internal
 */
export const spawnError = ({ command, cwd }: Invocation, cause: unknown): CliNotFoundError | CliSpawnError => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN"
  const refused = (reason: CliSpawnError["reason"], hint: string) => new CliSpawnError({ command, reason, code, hint })
  if (cwd !== undefined && !isDirectory(cwd)) return refused("CwdMissing", "Give a cwd that is a directory.")
  switch (code) {
    case "ENOENT":
      return exists(command)
        ? refused("BadFormat", "The interpreter that its first line names is missing.")
        : new CliNotFoundError({
          command,
          hint: "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set cliPath or CCFLOW_CLI_PATH."
        })
    case "EACCES":
    case "EPERM":
      return isDirectory(command)
        ? refused("IsDirectory", "Name the executable inside it.")
        : refused("NotExecutable", "Make it executable: chmod +x.")
    case "ENOEXEC":
      return refused("BadFormat", "It is neither a program for this machine nor a script that begins with #!.")
    case "E2BIG":
      return refused("TooLarge", "An option is too long for the command line.")
    case "EAGAIN":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
      return refused("NoResources", "The machine has no room for another process; run fewer at once.")
    default:
      return refused("Other", "See the code.")
  }
}

const isDirectory = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const exists = (path: string): boolean => path.includes("/") && statSync(path, { throwIfNoEntry: false }) !== undefined
