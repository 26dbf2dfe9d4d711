import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { access, constants, mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

export * from "./Sandbox.js"

export type RealCli =
  | { readonly _tag: "found"; readonly path: string; readonly version: string }
  | { readonly _tag: "missing"; readonly reason: string }

/** Those that we promise to work with, the newest first; `test/recordings` has what they print. */
export const recordedVersions = ["2.1.330", "2.1.197"] as const

/** Those that the suites run: other ones for `CCFLOW_TEST_CLI_VERSIONS=2.1.263`, where a comma stands between several. */
export const supportedVersions: readonly [string, ...ReadonlyArray<string>] = (() => {
  const [first, ...rest] = (process.env["CCFLOW_TEST_CLI_VERSIONS"] ?? "").split(",").filter((name) => name !== "")
  return first === undefined ? recordedVersions : [first, ...rest]
})()

const cache = process.env["CCFLOW_TEST_CACHE"] ?? fileURLToPath(new URL("../../.cache/claude/", import.meta.url))
const downloadLimitMs = 180_000
const staleLockMs = 15_000

const isMusl = (): boolean => {
  const report: unknown = process.report.getReport()
  const header = typeof report === "object" && report !== null && "header" in report ? report.header : undefined
  return !(typeof header === "object" && header !== null && "glibcVersionRuntime" in header)
}

const packageName = (): string => {
  const libc = process.platform === "linux" && isMusl() ? "-musl" : ""
  return `claude-code-${process.platform}-${process.arch}${libc}`
}

const executable = process.platform === "win32" ? "claude.exe" : "claude"

const isUsable = (path: string): Promise<boolean> => access(path, constants.X_OK).then(() => true, () => false)

interface NpmResult {
  readonly ok: boolean
  readonly detail: string
}

/** npm by its own script where this process was started by it, since Windows cannot start `npm.cmd` without a shell. */
const npmCommand = (): { readonly file: string; readonly args: ReadonlyArray<string>; readonly shell: boolean } => {
  const script = process.env["npm_execpath"]
  if (script !== undefined && /npm-cli\.[cm]?js$/.test(script)) {
    return { file: process.execPath, args: [script], shell: false }
  }
  return { file: "npm", args: [], shell: process.platform === "win32" }
}

const runNpm = (args: ReadonlyArray<string>, cwd: string): Promise<NpmResult> =>
  new Promise((resolve) => {
    const npm = npmCommand()
    const child = spawn(npm.file, [...npm.args, ...args], {
      cwd,
      shell: npm.shell,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: downloadLimitMs,
      killSignal: "SIGKILL"
    })
    let tail = ""
    const keep = (part: Buffer): void => {
      tail = (tail + part.toString("utf8")).slice(-2_000)
    }
    child.stdout.on("data", keep)
    child.stderr.on("data", keep)
    child.on("error", (cause) => resolve({ ok: false, detail: cause.message }))
    child.on("close", (code, signal) =>
      resolve({
        ok: code === 0,
        detail: signal === null ? tail.trim() : `npm was stopped after ${downloadLimitMs} ms`
      }))
  })

const ageOf = (path: string): Promise<number> => stat(path).then((found) => Date.now() - found.mtimeMs, () => 0)

/** A download that was killed leaves its folder behind; whoever holds the lock may take it away. */
const removeLeftovers = async (prefix: string): Promise<void> => {
  for (const name of await readdir(cache)) {
    if (name.startsWith(prefix)) await rm(join(cache, name), { recursive: true, force: true })
  }
}

/** Installs beside the final place and renames, so that whatever stands there is whole. */
const download = async (version: string, target: string): Promise<RealCli> => {
  const name = packageName()
  const prefix = `.staging-${version}-`
  const staging = join(cache, `${prefix}${randomUUID()}`)
  const path = join(target, executable)
  try {
    await removeLeftovers(prefix)
    await mkdir(staging, { recursive: true })
    await writeFile(join(staging, "package.json"), `{ "private": true }\n`)
    const npm = await runNpm([
      "install",
      "--no-save",
      "--ignore-scripts",
      "--no-package-lock",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      "--prefix",
      staging,
      `@anthropic-ai/${name}@${version}`
    ], staging)
    if (npm.ok) await mkdir(dirname(target), { recursive: true })
    // Another process may have been first, having taken this one for dead; its copy is as good.
    await rename(join(staging, "node_modules", "@anthropic-ai", name), target).catch(() => undefined)
    if (await isUsable(path)) return { _tag: "found", path, version }
    return {
      _tag: "missing",
      reason: npm.ok
        ? `${name}@${version} holds no ${executable}`
        : `npm could not fetch ${name}@${version}: ${npm.detail}`
    }
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
}

interface Attempt {
  readonly ready: () => Promise<RealCli | undefined>
  readonly fetch: () => Promise<RealCli>
}

/** Waits for whoever holds the lock, and takes it from a holder that is dead; the latter is told by the answer. */
const acquire = async (lock: string, ready: Attempt["ready"]): Promise<"first" | "heir" | "late" | RealCli> => {
  let turn: "first" | "heir" | "late" = "first"
  while (!await mkdir(lock).then(() => true, () => false)) {
    const found = await ready()
    if (found !== undefined) return found
    turn = await ageOf(lock) > staleLockMs ? "heir" : "late"
    if (turn === "heir") await rm(lock, { recursive: true, force: true })
    else await sleep(200)
  }
  return turn
}

/** One process downloads and the others wait for it; it keeps its lock fresh, so that a dead one is noticed. */
const onlyOnce = async (lock: string, attempt: Attempt): Promise<RealCli> => {
  const turn = await acquire(lock, attempt.ready)
  if (typeof turn === "object") return turn
  const refresh = setInterval(() => {
    const now = new Date()
    utimes(lock, now, now).catch(() => undefined)
  }, staleLockMs / 6)
  try {
    const found = await attempt.ready()
    if (found !== undefined) return found
    // The one before has just failed; a whole row of workers need not wait for the same time limit in turn.
    return turn === "late"
      ? { _tag: "missing", reason: "another process has just failed to fetch it" }
      : await attempt.fetch()
  } finally {
    clearInterval(refresh)
    await rm(lock, { recursive: true, force: true })
  }
}

const locate = async (version: string): Promise<RealCli> => {
  if (!/^[0-9A-Za-z][0-9A-Za-z.+-]*$/.test(version)) return { _tag: "missing", reason: `Not a version: ${version}` }
  const target = join(cache, version, packageName())
  const path = join(target, executable)
  const ready = async (): Promise<RealCli | undefined> =>
    await isUsable(path) ? { _tag: "found", path, version } : undefined
  const cached = await ready()
  if (cached !== undefined) return cached
  if (process.env["CCFLOW_TEST_OFFLINE"] === "1") {
    return { _tag: "missing", reason: `CCFLOW_TEST_OFFLINE=1 and claude ${version} is not in .cache/claude` }
  }
  await mkdir(cache, { recursive: true })
  return onlyOnce(join(cache, `.lock-${version}-${packageName()}`), { ready, fetch: () => download(version, target) })
}

const located = new Map<string, Promise<RealCli>>()

/** The CLI as npm publishes it, fetched on first use. */
export const realCli = (version: string): Promise<RealCli> => {
  const known = located.get(version)
  if (known !== undefined) return known
  const search = locate(version).catch((cause: unknown): RealCli => ({
    _tag: "missing",
    reason: `claude ${version} could not be put into .cache/claude: ${String(cause)}`
  }))
  located.set(version, search)
  return search
}
