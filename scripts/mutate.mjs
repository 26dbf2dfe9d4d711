// `npm run mutate [-- Retry Outcome]`: breaks the modules that decide, one small change after the other, and names the
// changes that no test notices. Stryker does it, in a checkout of what is committed: the workspace needs neither.
// Two changes are tried at once, or as many as MUTATE_CONCURRENCY says.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = join(root, ".cache", "mutate")
const checkout = join(cache, "checkout")

/** What belongs to a concern, and the tests that hold it: names below `packages/core`. */
const concerns = {
  Outcome: {
    sources: ["Outcome", "internal/startupFailure"],
    tests: ["Outcome", "OutcomeLaws", "StartupFailure"]
  },
  CircuitBreaker: {
    sources: ["CircuitBreaker", "internal/circuits"],
    tests: ["CircuitBreaker", "PoliciesOrder", "EventsPolicies"]
  },
  Retry: { sources: ["Retry", "internal/reopening"], tests: ["Retry", "reopening", "PoliciesOrder", "EventsPolicies"] },
  RateLimiter: {
    sources: ["RateLimiter", "internal/gate", "internal/meter"],
    tests: ["RateLimiter", "RateLimiterRuns", "EventsPolicies"]
  },
  MessageParser: {
    sources: [
      "MessageParser",
      ...["lines", "byteBuffer", "translator", "conversation", "thread", "guard"].map((name) => `internal/${name}`)
    ],
    tests: [
      ...["", "Conversation", "Fields", "Properties"].map((part) => `MessageParser${part}`),
      ...["guard", "thread", "lineSplitter"]
    ]
  },
  UsageLedger: {
    sources: ["UsageLedger", "internal/account", "internal/books", "internal/usageDelta", "internal/ledgerMemory"],
    tests: ["UsageLedger", "account", "usageDelta"]
  }
}

const given = process.argv.slice(2)
const unknown = given.find((name) => !Object.hasOwn(concerns, name))
if (unknown !== undefined) {
  throw new Error(`No such concern: ${unknown}. There are: ${Object.keys(concerns).join(", ")}`)
}
const chosen = given.length === 0 ? Object.keys(concerns) : given

const run = (command, args, cwd) => {
  const shell = process.platform === "win32"
  const { error, status } = spawnSync(command, args, { cwd, shell, stdio: ["ignore", 2, 2] })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error ?? `exit ${status}`}`)
}

/** What is committed now; what is installed there already stays. */
const prepare = () => {
  mkdirSync(cache, { recursive: true })
  if (!existsSync(checkout)) run("git", ["clone", "--quiet", root, checkout], cache)
  run("git", ["fetch", "--quiet", "origin", "HEAD"], checkout)
  run("git", ["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"], checkout)
  // Nothing of it is compiled: these tests need no database.
  const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
  const stryker = ["@stryker-mutator/core@9", "@stryker-mutator/vitest-runner@9"]
  run("npm", ["install", ...flags, ...stryker], checkout)
  // One small project in place of the workspace: tests of other packages say little of a module, and take long.
  rmSync(join(checkout, "vitest.workspace.ts"), { force: true })
  writeFileSync(join(checkout, "fewRuns.ts"), `import * as fc from "fast-check"\nfc.configureGlobal({ numRuns: 25 })\n`)
}

const mutate = (name) => {
  const { sources, tests } = concerns[name]
  const report = join(cache, `${name}.json`)
  writeFileSync(
    join(checkout, "vitest.config.ts"),
    `export default ${
      JSON.stringify({
        ssr: { resolve: { conditions: ["@ccflow/source", "module", "node", "development|production"] } },
        test: {
          include: tests.map((test) => `packages/core/test/${test}.test.ts`),
          setupFiles: ["./fewRuns.ts"],
          testTimeout: 30_000,
          // One worker keeps what it has loaded from one change to the next.
          pool: "threads",
          poolOptions: { threads: { isolate: false } }
        }
      })
    }\n`
  )
  writeFileSync(
    join(checkout, "stryker.config.json"),
    JSON.stringify({
      testRunner: "vitest",
      plugins: ["@stryker-mutator/vitest-runner"],
      vitest: { related: false },
      inPlace: true,
      mutate: sources.map((source) => `packages/core/src/${source}.ts`),
      // Messages and hints are told to people, and tags are held by the types.
      mutator: { excludedMutations: ["StringLiteral", "ObjectLiteral"] },
      ignoreStatic: true,
      coverageAnalysis: "perTest",
      reporters: ["json", "progress-append-only"],
      jsonReporter: { fileName: report },
      concurrency: Number(process.env.MUTATE_CONCURRENCY ?? 2),
      timeoutMS: 10_000
    })
  )
  run(process.execPath, ["node_modules/@stryker-mutator/core/bin/stryker.js", "run"], checkout)
  return JSON.parse(readFileSync(report, "utf8")).files
}

const line = (source, { start }) => source.split("\n")[start.line - 1].trim()

prepare()
const rows = []
for (const name of chosen) {
  const counts = {}
  for (const [file, { mutants, source }] of Object.entries(mutate(name))) {
    for (const { location, mutatorName, replacement, status } of mutants) {
      counts[status] = (counts[status] ?? 0) + 1
      if (status !== "Survived" && status !== "NoCoverage") continue
      console.log(
        `${status} ${file}:${location.start.line} ${mutatorName}\n  ${line(source, location)}\n  -> ${replacement}`
      )
    }
  }
  const { Killed = 0, NoCoverage = 0, Survived = 0, Timeout = 0 } = counts
  const all = Killed + Timeout + Survived + NoCoverage
  rows.push([name, all, Killed + Timeout, Survived, NoCoverage, `${Math.round((Killed + Timeout) / all * 100)} %`])
}
console.log("\n| concern | changes | noticed | survived | not run | |\n| --- | --- | --- | --- | --- | --- |")
for (const row of rows) console.log(`| ${row.join(" | ")} |`)
