// A Chromium for the tests of the page that `ccflow report` makes: Debian's own, where this may be installed. Where it
// may not, those tests are skipped, and say so.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"

const there = "/usr/bin/chromium"

const missing = () => {
  if (process.platform !== "linux" || !existsSync("/usr/bin/apt-get")) return "there is no apt-get here"
  if (process.getuid?.() !== 0) return "only root may install it: apt-get install chromium"
  const run = (...args) => {
    const { status } = spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: ["ignore", "ignore", "inherit"],
      timeout: 600_000
    })
    return status === 0
  }
  const install = () => run("install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core")
  return install() || (run("update") && install()) ? undefined : "apt-get has failed"
}

if (!existsSync(there)) {
  const reason = missing()
  if (reason !== undefined) console.error(`No Chromium: the tests that need one are skipped (${reason}).`)
}
