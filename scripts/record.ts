import { fileURLToPath } from "node:url"
import { realCli, recordedVersions } from "../test/support/RealCli.js"
import { keptVersions, ownRuns, readShape, recordedShape, writeShape } from "./cli-watch/shape.js"
import { recordAll } from "./record/save.js"
import { scenarios } from "./record/scenarios.js"

const folder = fileURLToPath(new URL("../test/recordings/", import.meta.url))

const names = process.argv.slice(2)
const chosen = scenarios.filter((scenario) => names.length === 0 || names.includes(scenario.name))
if (chosen.length === 0) console.error(`No such scenario; there are: ${scenarios.map(({ name }) => name).join(", ")}`)
let failures = chosen.length === 0 ? 1 : 0
for (const version of recordedVersions) {
  const cli = await realCli(version)
  if (cli._tag === "found") {
    failures += await recordAll({ scenarios: chosen, cli: cli.path, version, folder })
    if (keptVersions().includes(version)) writeShape({ ...readShape(version), ...recordedShape(ownRuns(version)) })
  } else {
    console.error(cli.reason)
    failures += chosen.length
  }
}
process.exitCode = failures === 0 ? 0 : 1
