import { build } from "esbuild"
import { existsSync } from "node:fs"
import { mkdtemp, rename, symlink } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { runFolder, shared } from "./run.js"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** Made by the first file of a run that needs it; of two that begin at once, one is thrown away. */
const oncePerRun = async (name: string, make: (folder: string) => Promise<void>): Promise<string> => {
  const folder = join(runFolder(), shared, name)
  if (existsSync(folder)) return folder
  const staging = await mkdtemp(`${folder}-`)
  await make(staging)
  await rename(staging, folder).catch((cause: unknown) => {
    if (!existsSync(folder)) throw cause
  })
  return folder
}

/**
 * Programs made from the sources, which start as fast as published ones: `<name>.mjs` for each entry, a path from the
 * root. SQLite's driver stays outside, and is found.
 */
export const bundle = (
  title: string,
  entries: Readonly<Record<string, string>>,
  more: (folder: string) => Promise<unknown> = async () => {}
): Promise<string> =>
  oncePerRun(title, async (folder) => {
    await build({
      absWorkingDir: root,
      entryPoints: entries,
      outdir: folder,
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
    await more(folder)
  })

/** The misbehaving process that speaks the CLI's protocol. */
export const fakeClaude = join(root, "packages/testing/bin/fake-claude.mjs")
