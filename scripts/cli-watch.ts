/** `npm run cli-watch -- <version>`: what a version of the CLI has changed, and whether we still work with it. */
import { mkdir, rm } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { startMessagesApi, text } from "../test/support/MessagesApi.js"
import { realCli, recordedVersions, sandboxEnvironment, sandboxHome } from "../test/support/RealCli.js"
import { declaredBy } from "./cli-watch/executable.js"
import { allFlags } from "./cli-watch/help.js"
import { probe } from "./cli-watch/probe.js"
import { firstReport, reportOf, summaryOf } from "./cli-watch/report.js"
import * as Shape from "./cli-watch/shape.js"
import { runSuites } from "./cli-watch/suite.js"
import { recordAll } from "./record/save.js"
import { scenarios } from "./record/scenarios.js"

const usage = `npm run cli-watch -- <version> [--against=<version>] [--keep] [--no-suite]
npm run cli-watch -- --summary

  --against   the kept version to compare with (default: the newest one that is older)
  --keep      keep the shape in scripts/cli-watch/shapes
  --no-suite  do not run the tests that use the real CLI
  --summary   the table of all kept versions`

const place = (path: string) => fileURLToPath(new URL(path, import.meta.url))

const helpFlags = async (cli: string): Promise<Shape.Shape["flags"]> => {
  await using api = await startMessagesApi([text("")])
  await using home = await sandboxHome()
  return await allFlags({ cli, cwd: home.project, env: sandboxEnvironment({ url: api.url, home: home.path }) })
}

interface Observed {
  readonly shape: Shape.Shape
  readonly failures: number
}

/** Everything that a version can be seen to do. The recordings stay in the cache. */
const observe = async (cli: string, version: string): Promise<Observed> => {
  const folder = place(`../.cache/cli-watch/${version}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const failures = await recordAll({ scenarios, cli, version, folder })
  const requests = await probe(cli, version)
  const flags = await helpFlags(cli)
  const declared = await declaredBy(cli)
  const listed = new Set(Object.values(flags).flat())
  return {
    failures,
    shape: {
      version,
      ...Shape.recordedShape(Shape.readRuns(folder, version)),
      flags,
      hiddenFlags: declared.flags.filter((flag) => !listed.has(flag)),
      requests,
      declared: { system: declared.system, requests: declared.requests },
      environment: declared.environment
    }
  }
}

/** Of the supported versions the repository has recordings, and the shape is theirs: `npm run record` makes new ones. */
const isRecorded = (version: string): boolean => recordedVersions.some((recorded) => recorded === version)

const watch = async (
  version: string,
  options: { against?: string; keep: boolean; suite: boolean }
): Promise<number> => {
  const cli = await realCli(version)
  if (cli._tag === "missing") {
    console.error(cli.reason)
    return 1
  }
  const against = options.against ?? Shape.keptVersions().findLast((kept) => Shape.compareVersions(kept, version) < 0)
  if (against !== undefined && !Shape.keptVersions().includes(against)) {
    console.error(`No shape is kept of ${against}; there are: ${Shape.keptVersions().join(", ")}`)
    return 1
  }
  const { failures, shape } = await observe(cli.path, version)
  console.log(`\n${against === undefined ? firstReport(shape) : reportOf(Shape.readShape(against), shape)}`)
  if (options.keep) {
    Shape.writeShape(isRecorded(version) ? { ...shape, ...Shape.recordedShape(Shape.ownRuns(version)) } : shape)
  }
  const passed = !options.suite || await runSuites(version)
  return failures === 0 && passed ? 0 : 1
}

const { positionals: [version, ...rest], values } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: "string" },
    keep: { type: "boolean", default: false },
    "no-suite": { type: "boolean", default: false },
    summary: { type: "boolean", default: false }
  }
})

if (values.summary) console.log(summaryOf(Shape.keptVersions().map(Shape.readShape)))
else if (version === undefined || rest.length > 0) {
  console.error(usage)
  process.exitCode = 2
} else {
  const { against, keep, "no-suite": noSuite } = values
  process.exitCode = await watch(version, { keep, suite: !noSuite, ...(against === undefined ? {} : { against }) })
}
