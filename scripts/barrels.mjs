// Writes packages/*/src/index.ts from the modules beside it; with --check it fails where one is out of date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = new URL("..", import.meta.url).pathname
const check = process.argv.includes("--check")
let stale = 0

for (const name of readdirSync(join(root, "packages"))) {
  const src = join(root, "packages", name, "src")
  if (name === "ccflow" || !existsSync(src)) continue
  const modules = readdirSync(src).filter((file) => /^[A-Z]\w*\.ts$/.test(file)).map((file) => file.slice(0, -3))
    // As the formatter sorts them.
    .sort((one, other) => one.toLowerCase() < other.toLowerCase() ? -1 : 1)
  const barrel = `// Written by scripts/barrels.mjs\n${
    modules.map((module) => `export * as ${module} from "./${module}.js"\n`).join("")
  }`
  const index = join(src, "index.ts")
  if (existsSync(index) && readFileSync(index, "utf8") === barrel) continue
  if (check) {
    stale++
    console.error(`packages/${name}/src/index.ts is out of date: npm run barrels`)
  } else writeFileSync(index, barrel)
}
process.exit(stale === 0 ? 0 : 1)
