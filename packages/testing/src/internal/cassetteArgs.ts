/** What the arguments of a CLI say, in so far as a cassette looks at them. */
export interface Told {
  /** Words that are no flag: a prompt, or a subcommand such as `auth status`. */
  readonly words: ReadonlyArray<string>
  readonly flags: ReadonlyMap<string, ReadonlyArray<string>>
}

export const told = (args: ReadonlyArray<string>): Told => {
  const words: Array<string> = []
  const flags = new Map<string, Array<string>>()
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!
    if (arg === "--") {
      words.push(...args.slice(i + 1))
      break
    }
    const [, dashed, given] = /^(--?[A-Za-z][\w-]*)(?:=([^]*))?$/.exec(arg) ?? []
    if (dashed === undefined) {
      words.push(arg)
      continue
    }
    const name = short[dashed] ?? dashed
    const next = args[i + 1]
    const takesNext = given === undefined && !bare.has(name) && next !== undefined && !next.startsWith("-")
    flags.set(name, [...flags.get(name) ?? [], given ?? (takesNext ? next : "")])
    if (takesNext) i++
  }
  return { words, flags }
}

/** What kind of process it is: one is never played in place of another. */
export const kindOf = ({ flags, words }: Told): string =>
  JSON.stringify([
    words.length,
    words.every((word) => /^[\w-]+$/.test(word)) ? words : [],
    ...["--input-format", "--output-format"].map((flag) => flags.get(flag)?.at(-1) ?? ""),
    flags.has("--version")
  ])

/** The flags by name, those left out that have another value each time. */
export const stable = ({ flags }: Told): string =>
  JSON.stringify([...flags].filter(([name]) => !fresh.has(name)).sort(([one], [other]) => one < other ? -1 : 1))

/** The session that is begun or gone on with. */
export const sessionOf = ({ flags }: Told): string | undefined =>
  [...flags.get("--session-id") ?? [], ...flags.get("--resume") ?? []].find((value) => value !== "")

// ---------------------------------------------------------------------------

const fresh = new Set([
  "--session-id",
  "--resume",
  "--system-prompt-file",
  "--append-system-prompt-file",
  "--debug-file"
])

const short: Readonly<Record<string, string>> = {
  "-p": "--print",
  "-r": "--resume",
  "-c": "--continue",
  "-v": "--version",
  "-h": "--help",
  "-d": "--debug"
}

/** Flags that take no value, so that what follows them is a word. */
const bare = new Set([
  "--print",
  "--verbose",
  "--version",
  "--help",
  "--continue",
  "--bare",
  "--ide",
  "--debug",
  "--init",
  "--json",
  "--text",
  "--fork-session",
  "--include-partial-messages",
  "--include-hook-events",
  "--replay-user-messages",
  "--dangerously-skip-permissions",
  "--allow-dangerously-skip-permissions",
  "--strict-mcp-config",
  "--no-session-persistence",
  "--disable-slash-commands"
])
