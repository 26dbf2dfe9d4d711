import { type CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import { codeOf } from "./errorCode.js"
import { isDirectory, notFound } from "./executable.js"

/** What it means that the operating system, or Node before it, refused to start a command that was found. */
export const spawnError = ({ command, cwd }: Invocation, cause: unknown): CliNotFoundError | CliSpawnError => {
  const code = codeOf(cause)
  const refused = (reason: CliSpawnError["reason"], hint: string) => new CliSpawnError({ command, reason, code, hint })
  switch (code) {
    case "ENOENT":
      return cwd === undefined || isDirectory(cwd) ? notFound(command) : refused("CwdMissing", cwdHint(cwd))
    case "EACCES":
    case "EPERM":
      return refused("NotExecutable", "Both the command and the cwd must be open to this user.")
    case "ENOEXEC":
      return refused("BadFormat", "It is not a program for this machine.")
    case "E2BIG":
      return refused("TooLarge", "An option or a variable is too long for the operating system.")
    case "EAGAIN":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
      return refused("NoResources", "The machine has no room for another process; run fewer at once.")
    case "ERR_INVALID_ARG_VALUE":
      return refused("Other", "The command, an option or a variable is empty or holds NUL.")
    default:
      return refused("Other", "See the code.")
  }
}

export const cwdMissing = (command: string, cwd: string): CliSpawnError =>
  new CliSpawnError({ command, reason: "CwdMissing", code: "ENOTDIR", hint: cwdHint(cwd) })

const cwdHint = (cwd: string): string => `Give a cwd that is a directory: ${JSON.stringify(cwd)} is none.`
