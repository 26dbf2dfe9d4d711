import { build } from "esbuild"
import { mkdtempSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** A script as one file that starts at once, with SQLite's driver outside, as `ccflow` is bundled. */
export const bundled = async (
  script: string,
  driver: "installed" | "beside" | "missing" = "installed"
): Promise<{ readonly path: string; readonly folder: string; readonly remove: () => void }> => {
  const folder = mkdtempSync(join(tmpdir(), "ccflow-bundle-"))
  const path = join(folder, "script.mjs")
  await build({
    entryPoints: [here(script)],
    outdir: folder,
    entryNames: "script",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@ccflow/source"],
    // Whatever is installed in a folder above this one.
    alias: driver === "missing" ? { "better-sqlite3": "better-sqlite3-is-not-installed" } : {},
    external: ["better-sqlite3", "better-sqlite3-is-not-installed"],
    logLevel: "error",
    banner: {
      js: `import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);`
    }
  })
  if (driver === "installed") symlinkSync(here("../../../node_modules"), join(folder, "node_modules"), "junction")
  return { path, folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
