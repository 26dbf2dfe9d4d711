import { build } from "esbuild"
import { mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** The `ccflow` command as it is published: what a subcommand alone needs is loaded when it runs, SQLite's driver from outside. */
export const commandBundle = async (): Promise<{ readonly command: string } & AsyncDisposable> => {
  const folder = await mkdtemp(join(tmpdir(), "ccflow-command-bundle-"))
  await build({
    entryPoints: [join(root, "packages/ccflow/src/main.ts")],
    outdir: folder,
    entryNames: "main",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@ccflow/source"],
    external: ["better-sqlite3"],
    logLevel: "warning",
    banner: {
      js: `import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);`
    }
  })
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction")
  return {
    command: join(folder, "main.mjs"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true })
  }
}
