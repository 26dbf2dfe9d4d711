// Makes every package's dist: types and modules by tsc, and for `ccflow` one bundle, because a program that imports it
// would otherwise read three hundred small files before it could ask anything.
import { build } from "esbuild"
import { spawnSync } from "node:child_process"
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { buildReportPage } from "./report-page.mjs"

const root = fileURLToPath(new URL("..", import.meta.url))
const packages = readdirSync(join(root, "packages")).filter((name) => existsSync(join(root, "packages", name, "src")))

for (const name of packages) {
  rmSync(join(root, "packages", name, "dist"), { recursive: true, force: true })
  for (const file of ["LICENSE", "README.md"]) {
    if (file === "LICENSE" || name === "ccflow") copyFileSync(join(root, file), join(root, "packages", name, file))
  }
}

const { status } = spawnSync(
  process.execPath,
  [join(root, "node_modules", "typescript", "bin", "tsc"), "-b", ...packages.map((name) => `packages/${name}`)],
  { cwd: root, stdio: "inherit" }
)
if (status !== 0) process.exit(status ?? 1)

const ccflow = join(root, "packages", "ccflow")
const { metafile } = await build({
  absWorkingDir: ccflow,
  entryPoints: { index: "dist/index.js", testing: "dist/testing.js", main: "dist/main.js" },
  outdir: "dist/bundle",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  // Node shows the line that an uncaught error comes from: a short one.
  lineLimit: 160,
  metafile: true,
  // A compiled addon cannot be bundled; it is loaded where sessions are kept in SQLite, and nowhere else.
  external: ["better-sqlite3"],
  logLevel: "warning",
  // Some of what the command uses is CommonJS and asks for Node's modules by `require`.
  banner: {
    js: `import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);`
  }
})
chmodSync(join(ccflow, "dist", "bundle", "main.js"), 0o755)
const page = await buildReportPage(join(ccflow, "dist", "bundle"))

/** The licences of what the bundle holds. */
const bundled = new Set(
  Object.keys({ ...metafile.inputs, ...page.inputs }).flatMap((path) =>
    /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []
  )
)
const licences = [...bundled].filter((name) => !name.startsWith("@ccflow/")).sort().map((name) => {
  const folder = join(root, "node_modules", name)
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  return `${name}\n\n${
    file === undefined ? "See its package.json." : readFileSync(join(folder, file), "utf8").trim()
  }\n`
})
writeFileSync(join(ccflow, "dist", "bundle", "THIRD-PARTY-LICENSES.txt"), licences.join("\n---\n\n"))
