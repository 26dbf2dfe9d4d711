import { CliNotFoundError, CliSpawnError } from "@ccflow/core/ClaudeError"
import type { Invocation } from "@ccflow/core/CliProcess"
import * as Either from "effect/Either"
import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from "node:fs"
import { join, resolve } from "node:path"

/**
 * The file that a command stands for, found on the child's `PATH` as the operating system would, or why it cannot run.
 *
 * Asked before the start because the answer would come too late: the C library hands a file that the kernel does not
 * know to `/bin/sh`, and so runs whatever is in it.
 */
export const locate = (
  { command, cwd = "." }: Pick<Invocation, "command" | "cwd">,
  path: string | undefined
): Either.Either<string, CliNotFoundError | CliSpawnError> => {
  // Windows knows programs by their extension.
  if (process.platform === "win32") return Either.right(command)
  if (command === "") return Either.left(notFound(command))
  let refusal: Refusal | undefined
  for (const file of filesOf(command, cwd, path)) {
    const found = refusalOf(file, cwd, 0)
    if (found === undefined) return Either.right(file)
    if (found !== missing) refusal ??= found
  }
  return Either.left(refusal === undefined ? notFound(command) : new CliSpawnError({ command, ...refusal }))
}

/** What a command could stand for, in the order in which it is looked for. */
export const filesOf = (command: string, cwd: string, path: string | undefined): ReadonlyArray<string> =>
  (command.includes("/") ? [""] : (path ?? systemPath).split(":")).map((folder) => resolve(cwd, join(folder, command)))

export const notFound = (command: string): CliNotFoundError =>
  new CliNotFoundError({
    command,
    hint: "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set cliPath or CCFLOW_CLI_PATH."
  })

export const isDirectory = (path: string): boolean => statOf(path)?.isDirectory() === true

// ---------------------------------------------------------------------------

type Refusal = Pick<CliSpawnError, "reason" | "code" | "hint">

const missing: Refusal = { reason: "Other", code: "ENOENT", hint: "" }

const badFormat = (hint: string, code = "ENOEXEC"): Refusal => ({ reason: "BadFormat", code, hint })

/** Where the C library looks when there is no `PATH`. */
const systemPath = "/bin:/usr/bin"

/** Interpreters that are scripts themselves: the kernel's own limit. */
const maxDepth = 4

const refusalOf = (file: string, cwd: string, depth: number): Refusal | undefined => {
  const stats = statOf(file)
  if (stats === undefined) return missing
  if (stats.isDirectory()) {
    return { reason: "IsDirectory", code: "EACCES", hint: "Name the executable inside it." }
  }
  const state = `${stats.dev} ${stats.ino} ${stats.size} ${stats.ctimeMs}`
  if (programs.get(file) === state) return undefined
  if (!isExecutable(file)) return { reason: "NotExecutable", code: "EACCES", hint: "Make it executable: chmod +x." }
  const head = headOf(file)
  // What cannot be read can only be a program: a shell could not read it either.
  if (head === undefined) return undefined
  if (isProgram(head)) {
    if (programs.size === mostPrograms) programs.clear()
    programs.set(file, state)
    return undefined
  }
  const interpreter = interpreterOf(head)
  if (interpreter === undefined) {
    return badFormat("It is neither a program for this machine nor a script that begins with #! and an interpreter.")
  }
  const found = depth === maxDepth ? badFormat("", "ELOOP") : refusalOf(resolve(cwd, interpreter), cwd, depth + 1)
  if (found === undefined) return undefined
  const fault = found === missing ? "is missing" : "cannot run"
  return badFormat(`The interpreter that its first line names ${fault}: ${JSON.stringify(interpreter)}.`, found.code)
}

/** What was seen to be a program, and the state of its file by then: it is mostly the same one that is started. */
const programs = new Map<string, string>()
const mostPrograms = 64

/** `undefined` for whatever cannot be looked at, such as a name that holds NUL or is too long. */
const statOf = (path: string): Stats | undefined =>
  Either.getOrUndefined(Either.try(() => statSync(path, { throwIfNoEntry: false })))

const isExecutable = (file: string): boolean => Either.isRight(Either.try(() => accessSync(file, constants.X_OK)))

/** As much as the kernel looks at. */
const headOf = (file: string): Buffer | undefined => {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
    const head = Buffer.alloc(256)
    return head.subarray(0, readSync(descriptor, head))
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

const interpreterOf = (head: Buffer): string | undefined => /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString("utf8"))?.[1]

/** Of the same kind as the program that we are: the magic alone would let through what only a shell would take. */
const isProgram = (head: Buffer): boolean => {
  if (process.platform === "darwin") return machMagics.has(head.toString("latin1", 0, 4))
  const kind = elfKind(head)
  return kind !== undefined && kind === (ownKind() ?? kind)
}

const machMagics = new Set(["\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", "\xca\xfe\xba\xbe", "\xca\xfe\xba\xbf"])

/** Word size, byte order and machine; `undefined` when it is no ELF file. */
const elfKind = (head: Buffer): string | undefined =>
  head.length >= 64 && head.toString("latin1", 0, 4) === "\x7fELF"
    ? head.toString("hex", 4, 6) + head.toString("hex", 18, 20)
    : undefined

let own: string | undefined
const ownKind = (): string | undefined => own ??= elfKind(headOf(process.execPath) ?? Buffer.alloc(0))
