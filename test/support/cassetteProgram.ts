import { build } from "esbuild"
import { chmod, mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const source = fileURLToPath(new URL("../../packages/testing/bin/cassette-claude.mjs", import.meta.url))

/** The program that records and plays, made from the sources. */
export const cassetteProgram = async (): Promise<{ readonly path: string } & AsyncDisposable> => {
  const folder = await mkdtemp(join(tmpdir(), "ccflow-cassette-claude-"))
  const path = join(folder, "cassette-claude.mjs")
  await build({
    entryPoints: [source],
    outfile: path,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    conditions: ["@ccflow/source"],
    logLevel: "warning"
  })
  await chmod(path, 0o755)
  return { path, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
