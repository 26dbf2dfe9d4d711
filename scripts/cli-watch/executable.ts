/** What the text of the CLI's executable gives away: names that no run has to show. */
import { createReadStream } from "node:fs"

export interface Declared {
  readonly flags: ReadonlyArray<string>
  readonly system: ReadonlyArray<string>
  readonly requests: ReadonlyArray<string>
  readonly environment: ReadonlyArray<string>
}

const schemaCall = String.raw`[\w$]{1,8}(?:\.literal)?\(`
const patterns = {
  /** An option has a description; what only looks for a flag has none. */
  flag: /\("((?:-\w, )?--[a-z][A-Za-z-]*(?: [<[][^";]{1,40})?)","/g,
  subtype: new RegExp(`(?:type:${schemaCall}"(\\w+)"\\),)?subtype:${schemaCall}"([a-z_]+)"\\)`, "g"),
  /** As the program reads it. In its tables of constants a name runs into what follows it. */
  variable: /(["'])((?:CLAUDE|ANTHROPIC)_[A-Z0-9_]+)\1|\.((?:CLAUDE|ANTHROPIC)_[A-Z0-9_]+)\b/g
}

const ordered = (names: ReadonlySet<string>): ReadonlyArray<string> => [...names].sort()

/** Reads the text in parts. Nothing that is looked for holds a `;`: there the text may be cut. */
export const declaredIn = async (parts: AsyncIterable<Buffer>): Promise<Declared> => {
  const flags = new Set<string>()
  const system = new Set<string>()
  const requests = new Set<string>()
  const environment = new Set<string>()
  const search = (text: string): void => {
    for (const [, flag = ""] of text.matchAll(patterns.flag)) flags.add(flag)
    for (const [, type, subtype = ""] of text.matchAll(patterns.subtype)) {
      if (type === "system") system.add(subtype)
      else if (type === undefined && !envelope.has(subtype)) requests.add(subtype)
    }
    for (const [, , quoted, read] of text.matchAll(patterns.variable)) environment.add(quoted ?? read ?? "")
  }
  let held = ""
  for await (const part of parts) {
    const text = held + part.toString("latin1")
    const cut = text.lastIndexOf(";") + 1
    search(text.slice(0, cut))
    held = text.slice(cut)
  }
  search(held)
  return {
    flags: ordered(flags),
    system: ordered(system),
    requests: ordered(requests),
    environment: ordered(environment)
  }
}

/** Subtypes of answers and results: no requests. */
const envelope: ReadonlySet<string> = new Set(["success", "error", "error_during_execution", "terminated"])

export const declaredBy = (path: string): Promise<Declared> =>
  declaredIn(createReadStream(path, { highWaterMark: 4 * 1024 * 1024 }))
