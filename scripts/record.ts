import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { realCli, supportedVersions } from "../test/support/RealCli.js"
import { drive } from "./record/drive.js"
import type { Recording, Scenario } from "./record/drive.js"
import { scenarios } from "./record/scenarios.js"
import { leaksIn } from "./record/scrub.js"

const folder = fileURLToPath(new URL("../test/recordings/", import.meta.url))
const maxBytes = 40_000

const save = async (recording: Recording): Promise<string> => {
  const { run, stderr, stdout } = recording
  const description = `${JSON.stringify(run, null, 2)}\n`
  const leaks = leaksIn(`${description}${stdout}${stderr}`)
  if (leaks.length > 0) throw new Error(`Traces of this machine:\n${leaks.slice(0, 5).join("\n")}`)
  if (Buffer.byteLength(stdout) > maxBytes) throw new Error(`${Buffer.byteLength(stdout)} bytes of stdout`)
  const name = `${run.name}-${run.version}`
  const place = join(folder, name)
  await rm(place, { recursive: true, force: true })
  await mkdir(place, { recursive: true })
  await writeFile(join(place, "run.json"), description)
  await writeFile(join(place, "stdout.ndjson"), stdout)
  await writeFile(join(place, "stderr.txt"), stderr)
  return `${name}: ${run.signal ?? `exit ${run.exitCode}`}, ${stdout.split("\n").length - 1} lines`
}

const recordAll = async (chosen: ReadonlyArray<Scenario>, version: string): Promise<number> => {
  const cli = await realCli(version)
  if (cli._tag === "missing") {
    console.error(cli.reason)
    return chosen.length
  }
  let failures = 0
  for (const scenario of chosen) {
    await drive(scenario, cli.path, version).then(save).then(console.log, (cause: unknown) => {
      failures += 1
      console.error(`${scenario.name}-${version}: ${String(cause)}`)
    })
  }
  return failures
}

const names = process.argv.slice(2)
const chosen = scenarios.filter((scenario) => names.length === 0 || names.includes(scenario.name))
if (chosen.length === 0) console.error(`No such scenario; there are: ${scenarios.map(({ name }) => name).join(", ")}`)
let failures = chosen.length === 0 ? 1 : 0
for (const version of supportedVersions) failures += await recordAll(chosen, version)
process.exitCode = failures === 0 ? 0 : 1
