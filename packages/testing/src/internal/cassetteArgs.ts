import { readArgs } from "./protocol/flags.mjs"

/** What the arguments of a CLI say, in so far as a cassette looks at them. */
interface Told {
  /** Words that are no flag: a prompt, or a subcommand such as `auth status`. */
  readonly words: ReadonlyArray<string>
  /** By their names without dashes; an empty text for one without a value. */
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
}

export const told = (args: ReadonlyArray<string>): Told => {
  const { flags, words } = readArgs(args)
  const all = new Map<string, ReadonlyArray<string>>()
  for (const { name, values } of flags) all.set(name, [...all.get(name) ?? [], ...values.length === 0 ? [""] : values])
  return { words, flags: all }
}

/** What kind of process it is: one is never played in place of another. */
export const kindOf = ({ flags, words }: Told): string =>
  JSON.stringify([
    words.length,
    words.every((word) => /^[\w-]+$/.test(word)) ? words : [],
    ...["input-format", "output-format"].map((flag) => flags.get(flag)?.at(-1) ?? ""),
    flags.has("version")
  ])

/** How alike two invocations are: to choose where several would do. */
export const sameFlags = (then: ReadonlyArray<string>, now: ReadonlyArray<string>): boolean =>
  stable(told(then)) === stable(told(now))

/** The session that is begun or gone on with. */
export const sessionOf = ({ flags }: Told): string | undefined =>
  [...flags.get("session-id") ?? [], ...flags.get("resume") ?? []].find((value) => value !== "")

// ---------------------------------------------------------------------------

/** The flags by name, those left out that have another value each time. */
const stable = ({ flags }: Told): string =>
  JSON.stringify([...flags].filter(([name]) => !fresh.has(name)).sort(([one], [other]) => one < other ? -1 : 1))

const fresh = new Set(["session-id", "resume", "system-prompt-file", "append-system-prompt-file", "debug-file"])
