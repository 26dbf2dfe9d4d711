import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { planted } from "./planted.js"

export interface SandboxHome {
  readonly path: string
  /** An empty folder to work in; inside the home, so that it goes with it. */
  readonly project: string
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** Nothing needs to be in it: with `-p` the CLI asks neither for onboarding nor for trust. */
export const sandboxHome = async (): Promise<SandboxHome> => {
  const path = await realpath(await mkdtemp(join(tmpdir(), "ccflow-home-")))
  const project = join(path, "project")
  await mkdir(project)
  await mkdir(join(path, "tmp"))
  return {
    path,
    project,
    // A child of a killed CLI may still be writing there.
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }
}

export interface SandboxOptions {
  /** The stand-in's address; anything but the loopback interface is refused. */
  readonly url: string
  readonly home: string
  /** `oauth` acts as a subscription login, `none` as one that has not happened. */
  readonly credentials?: "apiKey" | "oauth" | "none"
  readonly extra?: Readonly<Record<string, string>>
}

const loopback = new Set(["127.0.0.1", "[::1]", "localhost"])

const credentials: Readonly<Record<NonNullable<SandboxOptions["credentials"]>, Readonly<Record<string, string>>>> = {
  apiKey: { ANTHROPIC_API_KEY: planted.apiKey },
  oauth: { CLAUDE_CODE_OAUTH_TOKEN: planted.oauthToken },
  none: {}
}

/** What the operating system itself needs to start a program. */
const system = (home: string): Readonly<Record<string, string>> =>
  process.platform === "win32"
    ? { PATH: process.env["PATH"] ?? "", SystemRoot: process.env["SystemRoot"] ?? "", USERPROFILE: home }
    : { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" }

/** The whole environment of a real CLI that must reach nothing but the stand-in; no more of the host's is passed on. */
export const sandboxEnvironment = (options: SandboxOptions): Readonly<Record<string, string>> => {
  const environment = {
    ...system(options.home),
    HOME: options.home,
    TMPDIR: join(options.home, "tmp"),
    ...credentials[options.credentials ?? "apiKey"],
    ...options.extra,
    ANTHROPIC_BASE_URL: options.url,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    DISABLE_TELEMETRY: "1",
    DISABLE_ERROR_REPORTING: "1"
  }
  if (!loopback.has(new URL(options.url).hostname)) throw new Error(`Not a loopback address: ${options.url}`)
  return environment
}
