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

/**
 * Packages whose tests keep next to nothing for themselves: their files share the modules of one thread. But for these:
 * the breaker of the top-level functions is one; turns of the loop are not counted where messages of the run come in;
 * how deep is too deep depends on the stack, of which a thread has another; the names that metrics keep are few; and a
 * thread has no umask.
 */
const alone = new Map<string, Array<string>>([
  ["anthropic", []],
  ["ccflow", ["test/CircuitBreaker.test.ts", "test/Emitter.test.ts"]],
  ["core", ["test/ContextEncoder.test.ts", "test/Metrics.test.ts"]],
  ["sql", ["test/SqliteFile.test.ts"]],
  ["testing", []]
])

const threaded = (exclude: Array<string> | undefined): TestProjectInlineConfiguration["test"] =>
  exclude === undefined ? {} : { pool: "threads", exclude }

const timed = ["test/lifecycle*.test.ts"]

export default [
  ...readdirSync(here("packages"))
    .filter((name) => existsSync(here(`packages/${name}/test`)))
    .map((name) => project(name, `packages/${name}`, threaded(alone.get(name)))),
  ...[...alone].flatMap(([name, include]) =>
    include.length === 0 ? [] : [project(`${name}-alone`, `packages/${name}`, { include })]
  ),
  project("system", ".", { ...patient, exclude: timed }),
  // These measure what time closing takes: one file after the other, when all else is done.
  project("timed", ".", { ...patient, include: timed, poolOptions: { forks: { singleFork: true } } })
]
