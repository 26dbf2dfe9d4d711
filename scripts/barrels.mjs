// Writes what is said elsewhere already: packages/*/src/index.ts from the modules beside it, and src/internal/version.ts,
// where a package has one, from its package.json. With --check it fails where one is out of date.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = new URL("..", import.meta.url).pathname
const check = process.argv.includes("--check")
let stale = 0

const keep = (path, text) => {
  const file = join(root, path)
  if (existsSync(file) && readFileSync(file, "utf8") === text) return
  if (check) {
    stale++
    console.error(`${path} is out of date: npm run barrels`)
  } else writeFileSync(file, text)
}

for (const name of readdirSync(join(root, "packages"))) {
  const src = `packages/${name}/src`
  if (!existsSync(join(root, src))) continue

  const version = `${src}/internal/version.ts`
  if (existsSync(join(root, version))) {
    const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8"))
    keep(
      version,
      `/** The version of this package. Written by scripts/barrels.mjs. */\nexport const version = "${manifest.version}"\n`
    )
  }

  // What plain TypeScript imports is written by hand.
  if (name === "ccflow") continue
  const modules = readdirSync(join(root, src)).filter((file) => /^[A-Z]\w*\.ts$/.test(file)).map((file) =>
    file.slice(0, -3)
  )
    // As the formatter sorts them.
    .sort((one, other) => one.toLowerCase() < other.toLowerCase() ? -1 : 1)
  keep(
    `${src}/index.ts`,
    `// Written by scripts/barrels.mjs\n${
      modules.map((module) => `export * as ${module} from "./${module}.js"\n`).join("")
    }`
  )
}
process.exit(stale === 0 ? 0 : 1)
