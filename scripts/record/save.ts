import { mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { drive, type Recording, type Scenario } from "./drive.js"
import { leaksIn } from "./scrub.js"

const maxBytes = 40_000

/** Writes a recording into a folder of recordings, in the place of an older one; what tells of this machine is refused. */
export const save = async (folder: string, { run, stderr, stdout }: Recording): Promise<string> => {
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

export interface RecordAll {
  readonly scenarios: ReadonlyArray<Scenario>
  readonly cli: string
  readonly version: string
  readonly folder: string
}

/** One scenario after the other; tells each on stdout, and gives how many failed. */
export const recordAll = async ({ cli, folder, scenarios, version }: RecordAll): Promise<number> => {
  let failures = 0
  for (const scenario of scenarios) {
    await drive(scenario, cli, version).then((recording) => save(folder, recording)).then(
      console.log,
      (cause: unknown) => {
        failures += 1
        console.error(`${scenario.name}-${version}: ${String(cause)}`)
      }
    )
  }
  return failures
}
