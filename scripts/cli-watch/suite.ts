/** The suites that run the real CLI, with a version of one's choice in the place of the supported ones. */
import { spawn } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))
const helper = join(root, "test/support/RealCli.ts")

/** Whether a module asks for the versions to test, by itself or through a helper of the tests. */
const asksForVersions = (path: string, seen = new Set<string>()): boolean => {
  if (seen.has(path)) return false
  seen.add(path)
  const source = readFileSync(path, "utf8")
  const imports = [...source.matchAll(/(?:^|\n)import ([^"]*?)from "(\.[^"]+)\.js"/g)]
  return imports.some(([, names = "", from = ""]) => {
    const to = resolve(dirname(path), `${from}.ts`)
    return to === helper ? names.includes("supportedVersions") : to.includes("/test/") && asksForVersions(to, seen)
  })
}

/** Relative to the repository. */
export const suites = (): ReadonlyArray<string> =>
  ["test", "packages/testing/test"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `${folder}/${name}`)
      .filter((path) => asksForVersions(join(root, path)))
  )

/** Runs them all, or only some, as `npm test` would; gives whether all have passed. */
export const runSuites = (version: string, files: ReadonlyArray<string> = suites()): Promise<boolean> =>
  new Promise((done, fail) => {
    const vitest = join(root, "node_modules/vitest/vitest.mjs")
    // By their whole names: a part of one may be in the name of another package's test, in capitals or not.
    const child = spawn(process.execPath, [vitest, "run", ...files.map((file) => join(root, file))], {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, CCFLOW_TEST_CLI_VERSIONS: version }
    })
    child.on("error", fail)
    child.on("close", (status) => done(status === 0))
  })
