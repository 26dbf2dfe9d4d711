import { build } from "esbuild"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const packages = fileURLToPath(new URL("../../packages/", import.meta.url))

/** An entry of `ccflow` as one file, made from the sources: it starts as fast as the published one. */
export const bundle = async (entry: "index" | "main"): Promise<string> => {
  const outfile = join(await mkdtemp(join(tmpdir(), "ccflow-bundle-")), `${entry}.mjs`)
  await build({
    entryPoints: [join(packages, "ccflow", "src", `${entry}.ts`)],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@ccflow/source"],
    logLevel: "warning",
    banner: {
      js: `import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);`
    }
  })
  return outfile
}

/** The misbehaving process that speaks the CLI's protocol. */
export const fakeClaude = join(packages, "testing", "bin", "fake-claude.mjs")
