import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const packages = fileURLToPath(new URL("../packages/", import.meta.url))

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

const all = readdirSync(packages).map((folder) => {
  const manifest: Manifest = JSON.parse(readFileSync(join(packages, folder, "package.json"), "utf8"))
  const src = join(packages, folder, "src")
  const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
  const sources = files.map((file) => ({ file, text: readFileSync(join(src, file), "utf8") }))
  return { folder, manifest, sources, imported: sources.flatMap(({ text }) => importsOf(text)) }
})

describe("a package is a dependency boundary", () => {
  it.each(all)("$manifest.name imports nothing that it does not declare", ({ folder, imported, manifest }) => {
    const declared = Object.keys({
      ...manifest.dependencies,
      ...manifest.peerDependencies,
      // What its bundles hold.
      ...(folder === "ccflow" ? manifest.devDependencies : {})
    })
    const used = new Set(imported.filter((name) => !/^[.#]|^node:/.test(name)).map(packageOf))
    assert.isNotEmpty([...used])
    assert.deepStrictEqual([...used].filter((name) => !declared.includes(name)), [])
  })

  it("Node is imported by the packages that are for Node alone", () => {
    const onNode = all.filter(({ imported }) => imported.some((name) => name.startsWith("node:")))
    assert.deepStrictEqual(onNode.map(({ folder }) => folder).sort(), ["ccflow", "node", "sql"])
  })
})

describe("a module is one concern", () => {
  it("and has one Tag", () => {
    const several = all.flatMap(({ folder, sources }) =>
      sources.filter(({ text }) => (text.match(/ extends Context\.Tag\(/g) ?? []).length > 1)
        .map(({ file }) => `${folder}/${file}`)
    )
    assert.deepStrictEqual(several, [])
  })

  it("and has the layers of its Tag", () => {
    for (const { folder, sources } of all) {
      for (const { file, text } of sources.filter(({ file }) => !file.startsWith("internal"))) {
        for (const [, tag = ""] of text.matchAll(/class (\w+) extends Context\.Tag\(/g)) {
          const made = new RegExp(`Layer\\.(?:succeed|sync|effect|scoped)\\(\\s*${tag}\\b`)
          const elsewhere = sources.filter((other) => other.file !== file && made.test(other.text))
          assert.deepStrictEqual(elsewhere.map((other) => `${folder}/${other.file}`), [], tag)
        }
      }
    }
  })
})

// ---------------------------------------------------------------------------

/** Of code, which begins at the margin where it imports: comments and texts do not. */
function importsOf(text: string): ReadonlyArray<string> {
  const found = text.matchAll(/^(?:import|export|\})[^"\n]* from "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm)
  return [...found].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic ?? "")
}

function packageOf(name: string): string {
  return name.split("/").slice(0, name.startsWith("@") ? 2 : 1).join("/")
}
