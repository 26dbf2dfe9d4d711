import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { chmod, cp, mkdir, rm, stat, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { realCli } from "../../test/support/RealCli.js"
import { corpusFile } from "./corpus.js"

const root = fileURLToPath(new URL("../../", import.meta.url))
const cache = join(root, ".cache", "bench")
const installed = join(cache, "installed")
const modules = join(installed, "node_modules")
const bench = join(root, "scripts", "bench")

export const sdkVersion = "0.3.330"
export const cliVersion = "2.1.330"

/** Something that a variant needs; or why it is not to be had. */
export type Need =
  | { readonly _tag: "found"; readonly path: string }
  | { readonly _tag: "missing"; readonly reason: string }

const found = (path: string): Need => ({ _tag: "found", path })
const missing = (reason: string): Need => ({ _tag: "missing", reason })

const lastLine = (text: string | null): string => (text ?? "").trim().split("\n").at(-1) ?? ""

const programs = [
  "parse",
  "oneShot",
  "pipe",
  "imports",
  "memory",
  "fake",
  "turns",
  "firstTurn",
  "idle",
  "records",
  "observed"
] as const
export type Program = (typeof programs)[number]

/** Child programs lie beside the installed packages, and so import them as a user's program would. */
export const program = (name: Program): string => join(installed, "child", `${name}.mjs`)

/** The folder of an installed package. */
export const packageFolder = (name: string): string => join(modules, name)

const libraries = ["core", "node", "sql", "testing"] as const

/** Copies what `npm pack` would take, so that a build during the measurement changes nothing. */
const copyPackage = async (name: string, target: string): Promise<void> => {
  const from = join(root, "packages", name)
  await mkdir(target, { recursive: true })
  await cp(join(from, "package.json"), join(target, "package.json"))
  await cp(join(from, "dist"), join(target, "dist"), { recursive: true })
}

/** The library as it is published, or nothing: figures of another build would be another library's. */
const installLibrary = async (): Promise<void> => {
  const { status } = spawnSync(process.execPath, [join(root, "scripts", "build.mjs")], {
    cwd: root,
    stdio: ["ignore", 2, 2]
  })
  if (status !== 0) throw new Error("npm run build failed")
  await rm(modules, { recursive: true, force: true })
  for (const name of libraries) await copyPackage(name, join(modules, "@ccflow", name))
  await copyPackage("ccflow", join(modules, "ccflow"))
}

/** The official SDK: to compare with, never a dependency of ours, and without the CLI that it would bring along. */
const installSdk = async (): Promise<Need> => {
  const folder = join(cache, "sdk")
  const name = join("@anthropic-ai", "claude-agent-sdk")
  const path = join(folder, "node_modules", name)
  if (!existsSync(join(path, "sdk.mjs"))) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, "package.json"), `{ "private": true }\n`)
    const npm = spawnSync("npm", [
      "install",
      "--omit=optional",
      "--ignore-scripts",
      "--no-save",
      "--no-package-lock",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
      `@anthropic-ai/claude-agent-sdk@${sdkVersion}`
    ], { cwd: folder, encoding: "utf8", shell: process.platform === "win32", timeout: 120_000 })
    if (npm.status !== 0) return missing(`npm could not fetch the official SDK (${lastLine(npm.stderr)})`)
  }
  await mkdir(join(modules, "@anthropic-ai"), { recursive: true })
  await symlink(path, join(modules, name), "junction")
  return found(path)
}

const changedAt = (path: string): Promise<number> => stat(path).then((file) => file.mtimeMs, () => 0)

const compileFake = async (): Promise<Need> => {
  const source = join(bench, "fast-fake-cli.c")
  const path = join(cache, "fast-fake-cli")
  if (await changedAt(path) > await changedAt(source)) return found(path)
  const compile = (flags: ReadonlyArray<string>) =>
    spawnSync("cc", ["-O2", ...flags, "-o", path, source], { encoding: "utf8" })
  // Not every machine has the static C library.
  const { error, status, stderr } = [["-static"], []].map(compile).find((run) => run.status === 0) ?? compile([])
  if (error !== undefined) return missing("no C compiler")
  return status === 0 ? found(path) : missing(`cc: ${lastLine(stderr)}`)
}

/** A fake that works everywhere, and costs what starting Node costs. */
const slowFake = async (): Promise<string> => {
  const path = join(root, "packages", "testing", "bin", "fake-claude.mjs")
  await chmod(path, 0o755).catch(() => undefined)
  return path
}

const compileChildren = (): Promise<unknown> =>
  build({
    entryPoints: programs.map((name) => join(bench, "child", `${name}.ts`)),
    outdir: join(installed, "child"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "error"
  })

/** Loaded into a command whose CPU time is asked for: it tells it on descriptor 3 when the command ends. */
const cpuHook = async (): Promise<string> => {
  const path = join(installed, "child", "cpu.cjs")
  await writeFile(
    path,
    `process.on("exit",()=>{const{user,system}=process.cpuUsage();require("fs").writeSync(3,String((user+system)/1e3))})\n`
  )
  return path
}

const mib = 1024 * 1024

export interface Provisions {
  readonly sdk: Need
  readonly fastFake: Need
  /** The native fake, or the one in Node where there is no compiler. */
  readonly fake: string
  readonly realCli: Need
  readonly cpuHook: string
  /** Of 64 MiB: deltas and large tool results, as in a long session. */
  readonly mixed: string
  /** Of 256 MiB. */
  readonly large: string
  /** Of 16 MiB: the same without the tool results. */
  readonly events: string
}

export const provision = async (): Promise<Provisions> => {
  await rm(installed, { recursive: true, force: true })
  await installLibrary()
  const sdk = await installSdk()
  await compileChildren()
  const fastFake = await compileFake()
  const cli = await realCli(cliVersion)
  const corpus = async (name: string, bytes: number, keep: (line: string) => boolean = () => true) => {
    const path = join(cache, `corpus-1-${name}.ndjson`)
    await corpusFile(path, bytes, keep)
    return path
  }
  return {
    sdk,
    fastFake,
    fake: fastFake._tag === "found" ? fastFake.path : await slowFake(),
    realCli: cli._tag === "found" ? found(cli.path) : missing(cli.reason),
    cpuHook: await cpuHook(),
    mixed: await corpus("mixed", 64 * mib),
    large: await corpus("large", 256 * mib),
    events: await corpus("events", 16 * mib, (line) => !line.startsWith(`{"type":"user"`))
  }
}

/** The environment of a child program, which must not see how we were started. */
export const childEnvironment = (extra: Readonly<Record<string, string>> = {}) => {
  const { NODE_OPTIONS: _, ...own } = process.env
  return { ...own, ...extra }
}
