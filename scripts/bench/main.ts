// `npm run bench`: what the library costs, as ratios to what it could cost at the least and to the official SDK.
import { readFile, writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { changes, type Figure, figuresOf, report } from "./gate.js"
import { cliVersion, provision, sdkVersion } from "./provision.js"
import { type Section, table } from "./report.js"
import { fake } from "./suite/fake.js"
import { memory } from "./suite/memory.js"
import { observed } from "./suite/observed.js"
import { oneShot } from "./suite/oneShot.js"
import { parse } from "./suite/parse.js"
import { pipe } from "./suite/pipe.js"
import { records } from "./suite/records.js"
import { sessions } from "./suite/sessions.js"
import { startUp } from "./suite/startUp.js"
import { toon } from "./suite/toon.js"

const benchmarks = [parse, oneShot, pipe, startUp, memory, fake, observed, sessions, records]
const counts = [toon]

const args = process.argv.slice(2)
const quick = args.includes("--quick")
const gate = args.includes("--gate")
const names = args.filter((arg) => !arg.startsWith("--"))
const wanted = ({ name }: { readonly name: string }) => names.length === 0 || names.includes(name)
const chosen = benchmarks.filter(wanted)
const counted = counts.filter(wanted)
if (chosen.length + counted.length < names.length) {
  throw new Error(`No such benchmark; there are: ${[...benchmarks, ...counts].map(({ name }) => name).join(", ")}`)
}

const facts = (): string => {
  const [cpu] = cpus()
  return [
    `${new Date().toISOString().slice(0, 10)}; ${cpus().length} cores (${cpu?.model.trim() ?? "unknown"})`,
    `${process.platform} ${process.arch}, Node ${process.version}`,
    `CLI ${cliVersion}, official SDK ${sdkVersion}`,
    "library as built by npm run build"
  ].join("; ")
}

const begin = "<!-- figures -->"
const end = "<!-- /figures -->"

const kept = fileURLToPath(new URL("./figures.json", import.meta.url))

const save = async (figures: string): Promise<void> => {
  const path = fileURLToPath(new URL("./README.md", import.meta.url))
  const text = await readFile(path, "utf8")
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error("README.md has lost its markers")
  await writeFile(path, `${before}${begin}\n${figures}\n${end}${after}`)
}

const startedAt = Date.now()
const measured = async (): Promise<ReadonlyArray<Section>> => {
  if (chosen.length === 0) return []
  const provisions = await provision()
  const context = { ...provisions, quick, rounds: (full: number, few: number) => quick ? few : full }
  const sections: Array<Section> = []
  for (const { name, run } of chosen) {
    const since = Date.now()
    process.stderr.write(`${name} `)
    sections.push(...await run(context))
    process.stderr.write(` ${Math.round((Date.now() - since) / 1000)} s\n`)
  }
  return sections
}
const sections = await measured()
const figures = [
  ...(sections.length === 0 ? [] : [`${facts()}.`, table(sections)]),
  ...(gate ? [] : counted.map(({ table }) => table()))
].join("\n\n")
console.log(figures)
if (gate) {
  const before: ReadonlyArray<Figure> = JSON.parse(await readFile(kept, "utf8"))
  const all = changes(before, figuresOf(sections))
  console.log(`\n${report(all)}`)
  process.exitCode = all.some(({ verdict }) => verdict === "worse") ? 1 : 0
} else if (!quick && names.length === 0) {
  // Figures of a few rounds, or of a part, do not go beside those of a whole run.
  await save(figures)
  await writeFile(kept, `${JSON.stringify(figuresOf(sections), null, 2)}\n`)
}
process.stderr.write(`${Math.round((Date.now() - startedAt) / 1000)} s in all\n`)
