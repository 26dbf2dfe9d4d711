import { existsSync, readdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { defineProject, type TestProjectInlineConfiguration } from "vitest/config"

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** Sources, not builds: the packages' `@ccflow/source` condition. */
const project = (name: string, root: string, test: TestProjectInlineConfiguration["test"] = {}) =>
  defineProject({
    root: here(root),
    ssr: { resolve: { conditions: ["@ccflow/source", "module", "node", "development|production"] } },
    // A property takes some seconds where others run beside it.
    test: {
      name,
      testTimeout: 20_000,
      include: ["test/**/*.test.ts"],
      setupFiles: here("test/support/keepRemoved.ts"),
      ...test
    }
  })

/** Whole-system suites start real processes; of the tests of a file that may run at once, these many do. */
const patient = { testTimeout: 60_000, hookTimeout: 240_000, maxConcurrency: 3 }

/** How deep is too deep depends on the stack, of which a thread has another; and the names that metrics keep are few. */
const alone = ["test/ContextEncoder.test.ts", "test/Metrics.test.ts"]

const timed = ["test/lifecycle*.test.ts"]

export default [
  // Core keeps next to nothing for itself between two tests: its files share the modules of one thread.
  ...readdirSync(here("packages"))
    .filter((name) => existsSync(here(`packages/${name}/test`)))
    .map((name) => project(name, `packages/${name}`, name === "core" ? { pool: "threads", exclude: alone } : {})),
  project("core-alone", "packages/core", { include: alone }),
  project("system", ".", { ...patient, exclude: timed }),
  // These measure what time closing takes: one file after the other, when all else is done.
  project("timed", ".", { ...patient, include: timed, poolOptions: { forks: { singleFork: true } } })
]
