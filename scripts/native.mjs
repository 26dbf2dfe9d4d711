// Makes better-sqlite3's addon for the Node that runs this. Its own install script is not run (`allowScripts`): that one
// fails the whole installation where neither a prebuilt addon nor Node's headers can be downloaded.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const driver = join(root, "node_modules", "better-sqlite3")
const { npm_config_nodedir: configured, ...env } = process.env
const node = (cwd, ...args) => spawnSync(process.execPath, args, { cwd, env, encoding: "utf8", maxBuffer: 1 << 26 })

/** In a process of its own, since an addon made for another Node can end the one that loads it. */
const loads = () => node(root, "-e", "new (require('better-sqlite3'))(':memory:').close()").status === 0

const prebuilt = () => {
  const from = createRequire(join(driver, "package.json"))
  return node(driver, from.resolve("prebuild-install/bin.js"))
}

/**
 * npm brings node-gyp along and says where. This Node's own installation has the headers more often than not; those that
 * npm is configured with may be another one's, and would be taken before what the command says.
 */
const compiled = () => {
  const nodeGyp = process.env.npm_config_node_gyp
  if (nodeGyp === undefined) return { status: 1, stdout: "", stderr: "node-gyp: to be run by npm\n" }
  const prefix = dirname(dirname(process.execPath))
  const headers = existsSync(join(prefix, "include", "node")) ? prefix : configured
  return node(driver, nodeGyp, "rebuild", "--release", ...headers === undefined ? [] : [`--nodedir=${headers}`])
}

// Version 12 ends a process of Node 24 when what it has made is collected; 13 does not, and needs Node 22.
const later = `${driver}-13`
const versionOf = (folder) => JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).version
if (Number.parseInt(process.versions.node) >= 24 && existsSync(later) && versionOf(driver) !== versionOf(later)) {
  rmSync(driver, { recursive: true, force: true })
  cpSync(later, driver, { recursive: true })
}

if (existsSync(driver) && !loads()) {
  const attempts = []
  const made = [prebuilt, compiled].some((attempt) => {
    const result = attempt()
    attempts.push(result)
    return result.status === 0 && loads()
  })
  // The rest of the workspace works without: no reason to fail its installation.
  if (!made) {
    for (const { stderr, stdout } of attempts) console.error(`${stdout}${stderr}`.trimEnd())
    console.error(
      "better-sqlite3 could not be made, so sessions cannot be kept in SQLite here. It needs a C++ compiler, make and\n" +
        "Python 3, and Node's headers or the network. Then: npm run postinstall"
    )
  }
}
