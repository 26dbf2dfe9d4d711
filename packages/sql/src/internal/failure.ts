/** What a database's refusal means to the one who asked. */
import { SessionStoreError } from "@ccflow/core/ClaudeError"

/** Whether the same can succeed in a moment: another process writes, or PostgreSQL ended a deadlock by refusing it. */
export const isBusy = (error: unknown): boolean =>
  /^(SQLITE_BUSY|SQLITE_BUSY_RECOVERY|40001|40P01)$/.test(codeOf(error))

/** Whether SQLite itself says so; anything else was wrong before it ran. */
export const isSqlite = (error: unknown): boolean => codeOf(error).startsWith("SQLITE_")

/** Why a store cannot be opened, where that is not the database's own word. */
export const openError = (reason: SessionStoreError["reason"], detail: string, hint: string): SessionStoreError =>
  new SessionStoreError({ operation: "open", reason, detail, hint })

/** What the system or SQLite calls it; "" where it has no name. */
export const codeOf = (error: unknown): string => {
  const said = innermost(error)
  return said instanceof Error && "code" in said && typeof said.code === "string" ? said.code : ""
}

/** A driver's error, without the statement's values. */
export const storeError = (operation: string, error: unknown): SessionStoreError => {
  const code = codeOf(error)
  const { hint, reason } = kinds.find(({ codes }) => codes.test(code)) ?? other
  const said = innermost(error)
  return new SessionStoreError({
    operation,
    reason,
    detail: `${said instanceof Error ? said.message || said.name : String(said)}${code === "" ? "" : ` (${code})`}`,
    hint
  })
}

// ---------------------------------------------------------------------------

const kinds: ReadonlyArray<
  { readonly codes: RegExp; readonly reason: SessionStoreError["reason"]; readonly hint: string }
> = [
  {
    codes: /^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT|53100)$/,
    reason: "DiskFull",
    hint: "Free some space where the sessions are stored. What was stored before is intact."
  },
  {
    codes: /^(SQLITE_READONLY|EACCES|EPERM|EROFS|25006|42501)/,
    reason: "ReadOnly",
    hint: "Give this user the right to write there, or choose another place for the sessions."
  },
  {
    codes: /^(SQLITE_CORRUPT|SQLITE_NOTADB|XX001|XX002)/,
    reason: "Corrupt",
    hint: "Move the file away and restore a copy of it; without one, a new file is made at the next start."
  },
  { codes: /^(EISDIR|ENOTDIR)$/, reason: "NotAFile", hint: "Give the path of a file in a folder." },
  {
    codes: /^(SQLITE_BUSY|SQLITE_LOCKED|SQLITE_PROTOCOL)/,
    reason: "Unavailable",
    hint: "Another process keeps the sessions locked: wait for it, or end it."
  },
  {
    codes: /^(SQLITE_CANTOPEN|ENOENT|ENAMETOOLONG|ELOOP|ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|08|28|3D000|57P)/,
    reason: "Unavailable",
    hint: "Check where the sessions are stored, and that it can be reached."
  }
]

const other = { reason: "Other", hint: "The detail is the database's own." } as const

/** Drivers wrap what went wrong, some of them several times. */
const innermost = (error: unknown): unknown =>
  error instanceof Error && error.cause instanceof Error ? innermost(error.cause) : error
