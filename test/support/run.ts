import { appendFileSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, delimiter, join, relative } from "node:path"
import { forms } from "./planted.js"

const variable = "CCFLOW_TEST_RUN"

/** What a run of the suite is held to as a whole. */
export interface Verdict {
  readonly promise: string
  readonly broken: ReadonlyArray<string>
}

/** The folder that goes with the run: of this process alone, where nobody has begun one. */
export const runFolder = (): string => {
  const given = process.env[variable]
  if (given !== undefined) return given
  const path = newFolder()
  process.once("exit", () => remove(path))
  return path
}

/** Where `tmpdir()` is while a run goes on. */
export const temporary = "tmp"
/** Where the temporary folders go that tests remove. */
export const removed = "removed"
/** What programs printed, logged and sent. */
export const written = "written"
/** What test files make for each other. */
export const shared = "shared"

/** Keeps what a program has written until the run is searched. */
export const note = (what: string, text: string): void => {
  if (text !== "") appendFileSync(join(runFolder(), written, "all.txt"), `\n=== ${what}\n${text}`)
}

/**
 * Gives every process of the run, whatever environment a test or the library makes for it, something to know it by: the
 * folder is in its PATH, its home or its arguments. Gives what is to be done at the end.
 */
export const beginRun = (): () => ReadonlyArray<Verdict> => {
  const folder = newFolder()
  for (const name of ["TMPDIR", "TMP", "TEMP"]) process.env[name] = join(folder, temporary)
  process.env["PATH"] = `${process.env["PATH"] ?? ""}${delimiter}${join(folder, "bin")}`
  return () => {
    const verdicts = [
      { promise: "no process outlives the run", broken: survivors(folder) },
      { promise: "nothing that was written in the run holds a planted secret", broken: secretsIn(folder) }
    ]
    remove(folder)
    return verdicts
  }
}

// ---------------------------------------------------------------------------

const newFolder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "ccflow-run-"))
  for (const name of [temporary, removed, written, shared]) mkdirSync(join(path, name))
  process.env[variable] = path
  return path
}

/** What cannot be read or removed any more, nobody else can read either. */
const attempt = <A>(otherwise: A, action: () => A): A => {
  try {
    return action()
  } catch {
    return otherwise
  }
}

const remove = (path: string): void =>
  attempt(undefined, () => rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }))

const graceMs = 5_000

/** Those that have not ended by themselves after a while; they are killed then. */
const survivors = (folder: string): ReadonlyArray<string> => {
  if (process.platform !== "linux") return []
  const deadline = Date.now() + graceMs
  let left = orphans(folder)
  while (left.length > 0 && Date.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
    left = orphans(folder)
  }
  return left.map((pid) => {
    const told = `process ${pid} is left: ${of(pid, "cmdline").replaceAll("\0", " ").slice(0, 300)}`
    attempt(false, () => process.kill(pid, "SIGKILL"))
    return told
  })
}

/** Processes with the run's mark that are not on their way out with this one, as its own children are. */
const orphans = (folder: string): ReadonlyArray<number> => {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)
  const parents = new Map(pids.map((pid) => [pid, parentOf(pid)]))
  const isOurs = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === process.pid || isOurs(parents.get(pid)))
  return pids.filter((pid) =>
    !isOurs(pid) && (of(pid, "environ").includes(folder) || of(pid, "cmdline").includes(folder))
  )
}

const of = (pid: number, what: "environ" | "cmdline" | "stat"): string =>
  attempt("", () => readFileSync(`/proc/${pid}/${what}`, "latin1"))

/** None, of one that has ended and was not waited for. */
const parentOf = (pid: number): number | undefined => {
  const stat = of(pid, "stat")
  const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return parent === undefined ? undefined : Number(parent)
}

/** What is there to hold a secret: the CLI's own store, and what a test gives to a program. */
const meant = [/\/\.claude\/\.credentials\.json$/, /\/ccflow-serve-\w+\/token$/]

const secretsIn = (folder: string): ReadonlyArray<string> =>
  [temporary, removed, written].flatMap((name) => filesIn(join(folder, name))).flatMap((path) => {
    if (meant.some((pattern) => pattern.test(path))) return []
    const bytes = attempt(Buffer.alloc(0), () => readFileSync(path))
    return forms.flatMap((form) => {
      const at = bytes.indexOf(form)
      if (at < 0) return []
      const around = bytes.subarray(Math.max(0, at - 200), at + 100).toString("latin1")
      return `${relative(folder, path)}, byte ${at}: …${around.replaceAll("\n", "\\n")}…`
    })
  })

const filesIn = (folder: string): ReadonlyArray<string> =>
  attempt<ReadonlyArray<string>>([], () => readdirSync(folder)).flatMap((name) => {
    const path = join(folder, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory()) return basename(path) === "node_modules" ? [] : filesIn(path)
    return found?.isFile() ? [path] : []
  })
