// Everything about the sources that is not a test: barrels, types, Effect's diagnostics, import rules, format.
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = (name) => join(root, "node_modules", ".bin", name)

const run = (title, command, args) => () => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", shell: process.platform === "win32" })
  return status === 0 ? [] : [`${title} failed`]
}

const walk = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(folder, entry.name)) : entry.name.endsWith(".ts") ? [join(folder, entry.name)] : []
  )

/** Where a rule holds, what it forbids, and why. */
const rules = [
  [/^packages\/core\/src\//, /from "node:/, "core runs anywhere: no node: import"],
  [
    /^packages\/core\/src\//,
    /\bprocess\.(env|on|off|once|kill|exit|argv|cwd|pid|platform|std\w+)\b/,
    "core reads the host through Config and Clock"
  ],
  [/^packages\/testing\/src\//, /from "node:/, "the fake runs anywhere: no node: import"],
  [/^packages\/\w+\/src\//, /from "@?ccflow(\/\w+)?\/(src|internal)\//, "another package's internals are not ours"],
  [
    /^packages\/\w+\/src\//,
    /from "(effect|@effect\/[\w-]+)"/,
    "import the module, not the barrel: it is start-up time"
  ],
  [
    /^packages\/(anthropic|core|node|testing)\/src\//,
    /\b(Effect\.run(Promise|Sync|Fork|Callback)|ManagedRuntime\.make)/,
    "only the facade and main files run effects"
  ],
  [
    /^packages\/\w+\/src\//,
    /\b(Stream\.(retry|timeout|timeoutTo|interruptAfter|peel|withExecutionPlan|toAsyncIterable)|Effect\.forkDaemon)\b/,
    "found to break streams of a process"
  ],
  [/^packages\/\w+\/src\//, /\bas any\b|\bas unknown as\b|: any\b|<any[,>]/, "no any"]
]

const importRules = () =>
  walk("packages").filter((file) => file.includes("/src/")).flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").split("\n")
    const path = relative(root, join(root, file)).replaceAll("\\", "/")
    const tooLong = lines.length > 401 ? [`${path}: ${lines.length} lines; is it one concern?`] : []
    return [
      ...tooLong,
      ...rules.filter(([where]) => where.test(path)).flatMap(([, what, why]) =>
        lines.flatMap((line, index) => what.test(line) ? [`${path}:${index + 1}: ${why}`] : [])
      )
    ]
  })

const steps = [
  ["barrels", run("barrels", process.execPath, ["scripts/barrels.mjs", "--check"])],
  ["types", run("types", bin("tsc"), ["-b"])],
  [
    "effect diagnostics",
    run("effect diagnostics", bin("effect-language-service"), [
      "diagnostics",
      "--project",
      // The tests have their types checked above; to read them here takes as long as all the rest.
      "scripts/sources.tsconfig.json",
      "--format",
      "text",
      "--strict"
    ])
  ],
  ["import rules", importRules],
  ["format", run("format", bin("eslint"), ["."])]
]

let failed = false
for (const [title, step] of steps) {
  const startedAt = Date.now()
  const problems = step()
  for (const problem of problems) console.error(problem)
  failed ||= problems.length > 0
  console.log(
    `${problems.length === 0 ? "ok    " : "FAILED"} ${title} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`
  )
}
process.exit(failed ? 1 : 0)
