// `npm run test:matrix [-- 22 24]`: the whole test run on other versions of Node, on what is committed. Node comes from
// npm, with its headers; every version has a checkout of its own, so that nothing made for another one is found.
import { spawn, spawnSync } from "node:child_process"
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const cache = join(root, ".cache", "matrix")
const npm = process.env.npm_execpath
if (npm === undefined) throw new Error("Run it by npm: npm run test:matrix")
const given = process.argv.slice(2)
const odd = given.find((version) => !/^\d+(\.\d+){0,2}$/.test(version))
if (odd !== undefined) throw new Error(`Not a version of Node: ${odd}`)
const versions = given.length === 0 ? ["22", "24"] : given

const run = (command, args, options) => {
  const { error, status, stderr } = spawnSync(command, args, { encoding: "utf8", ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error ?? stderr}`)
}

const nodeOf = (version) => {
  const place = join(cache, `node-${version}`)
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  const folder = join(place, "node_modules", name, "bin")
  if (!existsSync(folder)) {
    mkdirSync(place, { recursive: true })
    const flags = ["--prefix", place, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    run(process.execPath, [npm, "install", ...flags, `${name}@${version}`], { cwd: place })
  }
  return { folder, path: join(folder, process.platform === "win32" ? "node.exe" : "node") }
}

const checkout = (version) => {
  const folder = join(cache, version)
  rmSync(folder, { recursive: true, force: true })
  run("git", ["clone", "--quiet", root, folder], { cwd: cache })
  return folder
}

const test = (version) =>
  new Promise((resolve) => {
    const node = nodeOf(version)
    const folder = checkout(version)
    const log = join(cache, `${version}.log`)
    const child = spawn(node.path, [npm, "test"], {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        CI: "true",
        PATH: `${node.folder}${delimiter}${process.env.PATH}`,
        CCFLOW_TEST_CACHE: process.env.CCFLOW_TEST_CACHE ?? join(root, ".cache", "claude")
      }
    })
    const out = createWriteStream(log)
    child.stdout.pipe(out, { end: false })
    child.stderr.pipe(out, { end: false })
    child.on("close", (status) => {
      out.end(() => {
        const lines = readFileSync(log, "utf8").split("\n")
        const counted = lines.findLast((line) => /^\d+ passed, \d+ failed/.test(line)) ?? "no count"
        const failed = lines.filter((line) => /^ *(FAIL|×)/.test(line.replace(/\x1b\[[\d;]*m/g, "")))
        resolve({
          version: spawnSync(node.path, ["-v"], { encoding: "utf8" }).stdout.trim(),
          status,
          counted,
          failed,
          log
        })
      })
    })
  })

mkdirSync(cache, { recursive: true })
const results = []
for (const version of versions) {
  process.stderr.write(`Node ${version}: what is committed is tested\n`)
  results.push(await test(version))
}
console.log("| Node | tests | exit |\n| --- | --- | --- |")
for (const { counted, status, version } of results) console.log(`| ${version} | ${counted} | ${status} |`)
for (const { failed, log, status } of results) if (status !== 0) console.log(`\n${log}\n${failed.join("\n")}`)
process.exitCode = results.every(({ status }) => status === 0) ? 0 : 1
