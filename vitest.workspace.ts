import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defineProject, type TestProjectInlineConfiguration } from "vitest/config"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Sources, not builds: the packages' `@ccflow/source` condition. */
const project = (name: string, root: string, test: TestProjectInlineConfiguration["test"] = {}) =>
  defineProject({
    root: here(root),
    ssr: { resolve: { conditions: ["@ccflow/source", "module", "node", "development|production"] } },
    test: { name, include: ["test/**/*.test.ts"], ...test }
  })

export default [
  ...readdirSync(here("packages"))
    .filter((name) => existsSync(here(`packages/${name}/test`)))
    .map((name) => project(name, `packages/${name}`)),
  // Whole-system suites own real processes and the machine's time: one file after the other.
  project("system", ".", { testTimeout: 60_000, hookTimeout: 240_000, poolOptions: { forks: { singleFork: true } } })
]
