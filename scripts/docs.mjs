// Makes the API's pages from the sources, into docs/api: every public module of every package, with what its comments
// say. A link that leads nowhere, and whatever else typedoc warns of, fails it. With --check it makes no pages.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Application } from "typedoc"

const root = fileURLToPath(new URL("..", import.meta.url))
const check = process.argv.includes("--check")
const out = process.argv.slice(2).find((arg) => arg !== "--check") ?? join(root, "docs", "api")
const packages = readdirSync(join(root, "packages"))

const modulesOf = (name) =>
  name === "ccflow"
    ? ["index.ts", "testing.ts"]
    : readdirSync(join(root, "packages", name, "src")).filter((file) => file.endsWith(".ts") && file !== "index.ts")

const app = await Application.bootstrap({
  name: "ccflow",
  out,
  entryPoints: packages.flatMap((name) => modulesOf(name).map((file) => join(root, "packages", name, "src", file))),
  tsconfig: join(root, "scripts", "sources.tsconfig.json"),
  basePath: join(root, "packages"),
  readme: join(root, "README.md"),
  excludeExternals: true,
  excludeInternal: true,
  skipErrorChecking: true,
  disableGit: true,
  sourceLinkTemplate: "https://github.com/ccflow/ccflow/blob/main/packages/{path}#L{line}",
  // A folder cannot be copied along, and is no dead link: scripts/check.mjs looks at those of the README.
  validation: { invalidLink: true, invalidPath: false, notExported: false, notDocumented: false },
  treatWarningsAsErrors: true
})
const project = await app.convert()
if (project === undefined || app.logger.hasErrors()) process.exit(1)
app.validate(project)
if (!check) await app.generateOutputs(project)
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1)
if (check) process.exit(0)
const { version } = JSON.parse(readFileSync(join(root, "packages", "ccflow", "package.json"), "utf8"))
console.log(`The API of ccflow ${version}: ${out}`)
