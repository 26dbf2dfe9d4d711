// Writes what the parser makes of the transcripts beside the checkout. Read the difference before it is committed.
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { transcripts, transcriptsFolder } from "../test/golden/runs.js"
import { summarize } from "../test/golden/summary.js"

const runs = transcripts()
if (runs.length === 0) {
  console.error(`There are no transcripts in ${transcriptsFolder}`)
  process.exit(1)
}
const file = fileURLToPath(new URL("../test/golden/transcripts.ndjson", import.meta.url))
writeFileSync(file, runs.map((run) => `${JSON.stringify(summarize(run))}\n`).join(""))
console.log(`${runs.length} summaries in ${file}`)
