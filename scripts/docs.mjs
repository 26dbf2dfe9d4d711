// Makes the API's pages from the sources, into docs/api: every public module of every package, with what its comments
// say. A link that leads nowhere, or a type that is used and not public, fails it.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Application } from "typedoc"

const root = fileURLToPath(new URL("..", import.meta.url))
const out = process.argv[2] ?? join(root, "docs", "api")
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
  validation: { invalidLink: true, notExported: false, notDocumented: false },
  treatValidationWarningsAsErrors: true
})
const project = await app.convert()
if (project === undefined || app.logger.hasErrors()) process.exit(1)
app.validate(project)
await app.generateOutputs(project)
if (app.logger.hasErrors()) process.exit(1)
const { version } = JSON.parse(readFileSync(join(root, "packages", "ccflow", "package.json"), "utf8"))
console.log(`The API of ccflow ${version}: ${out}`)
