// Everything about the sources that is not a test: barrels, types, Effect's diagnostics, import rules, links,
// format. The API's pages take as long as all of it: `npm run docs -- --check` looks at them.
import { spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = (name) => join(root, "node_modules", ".bin", name)

/** What it prints is shown when it has ended, so that steps which run together are not mixed up. */
const run = (title, command, args) => () =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32"
    })
    let printed = ""
    child.stdout.on("data", (data) => printed += data)
    child.stderr.on("data", (data) => printed += data)
    child.on("error", (error) => resolve([String(error)]))
    child.on("close", (status) => resolve(status === 0 ? [] : [printed.trimEnd(), `${title} failed`]))
  })

const walk = (folder) =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory()
      ? walk(join(folder, entry.name))
      : /\.(ts|mjs)$/.test(entry.name)
      ? [join(folder, entry.name)]
      : []
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

const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "packages/testing/README.md",
  "scripts/bench/README.md",
  "scripts/cli-watch/README.md"
]

/** A page without its code, which has brackets of its own. */
const prose = (page) => readFileSync(join(root, page), "utf8").replace(/^```.*?^```/gms, "").replace(/`[^`\n]*`/g, "`")

/** As GitHub names headings. */
const anchors = (page) =>
  readFileSync(join(root, page), "utf8").replace(/^```.*?^```/gms, "").split("\n").flatMap((line) => {
    const [, heading] = /^#+ (.*)$/.exec(line) ?? []
    return heading === undefined ? [] : [heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-")]
  })

/** What a page points at within the repository must be there: the file, and its heading. */
const links = () =>
  pages.flatMap((page) =>
    [...prose(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(([, path, anchor]) => {
      const target = path === "" ? page : join(dirname(page), path)
      const dead = !existsSync(join(root, target)) ||
        (anchor !== undefined && target.endsWith(".md") && !anchors(target).includes(anchor))
      return dead ? [`${page}: there is no ${path}${anchor === undefined ? "" : `#${anchor}`}`] : []
    })
  )

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
  ["links", links],
  ["format", run("format", bin("eslint"), ["."])]
]

// Together they take as long as the longest of them, where there are cores enough.
const told = await Promise.all(steps.map(async ([title, step]) => {
  const startedAt = Date.now()
  const problems = await step()
  return { title, problems, seconds: (Date.now() - startedAt) / 1000 }
}))
for (const { problems, seconds, title } of told) {
  for (const problem of problems) console.error(problem)
  console.log(`${problems.length === 0 ? "ok    " : "FAILED"} ${title} (${seconds.toFixed(1)} s)`)
}
process.exit(told.some(({ problems }) => problems.length > 0) ? 1 : 0)
