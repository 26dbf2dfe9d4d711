/** What a line of JSON can hold. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

/** One line of the CLI's input or output: a frame, or text that is none. */
export type Said = JsonObject | string

/** How a process was started. Of the variables it has the names of those that are for the CLI. */
export interface Start {
  readonly args: ReadonlyArray<string>
  readonly env: ReadonlyArray<string>
}

/** What happened in a process, in its order. In the cassette it has its tag as its key. */
export type Event =
  | { readonly _tag: "in"; readonly said: Said }
  | { readonly _tag: "out"; readonly said: Said }
  /** `rest` is output without the newline that would have ended it, `signal` has its name. */
  | { readonly _tag: "rest" | "signal"; readonly said: string }
  | { readonly _tag: "eof"; readonly said: true }

export interface Ending {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
  /** It was still alive when the program under test closed it. */
  readonly closed: boolean
}

/** One process. */
export interface Take {
  readonly number: number
  readonly start: Start
  readonly events: ReadonlyArray<Event>
  /** Missing where the recording was cut. */
  readonly ending?: Ending
  /** Milliseconds of silence before each output and before the end, in their order. */
  readonly waits: ReadonlyArray<number>
}

/** A recording: the processes in the order in which they were started. */
export interface Tape {
  readonly recorded: string
  readonly takes: ReadonlyArray<Take>
}

/** What is wrong with a text that should be a cassette. */
export class NoTape extends Error {}

/** Stands alone until all is recorded: what has no end by then is known to be cut. */
export const header = (recorded: string, claude: string | undefined, cut: boolean): string =>
  lineOf({ cassette: version, claude, recorded, ...cut ? { cut } : {} })

export const startLine = (p: number, start: Start): string => lineOf({ p, start })

export const eventLine = (p: number, { _tag, said }: Event): string => lineOf({ p, [_tag]: said })

export const endLine = (p: number, { closed, code, signal, stderr }: Ending, waits: ReadonlyArray<number>): string =>
  lineOf({ p, end: { code, signal, ...closed ? { closed } : {}, ...stderr === "" ? {} : { stderr } }, waits })

/** Reads a cassette. Its last line may be half written: whoever recorded it has died. */
export const parse = (text: string): Tape => {
  const lines = text.split("\n")
  const half = lines.pop() ?? ""
  const [first = "", ...rest] = isObject(saidIn(half)) ? [...lines, half] : lines
  const head = objectAt(first, 1)
  if (head["cassette"] !== version) {
    throw new NoTape(
      typeof head["cassette"] === "number"
        ? `it is of version ${head["cassette"]}, and this is for version ${version}`
        : "its first line is not that of a cassette"
    )
  }
  const takes = new Map<number, Growing>()
  rest.forEach((line, index) => {
    if (line.trim() !== "") grow(takes, objectAt(line, index + 2), index + 2)
  })
  return { recorded: textOf(head["recorded"]), takes: [...takes.values()].sort((a, b) => a.number - b.number) }
}

/** The same, process by process and with a header that tells of all: what a recording ends as. */
export const print = ({ recorded, takes }: Tape): string => {
  const versions = new Set(takes.flatMap(({ events }) => events.flatMap(versionIn)))
  const claude = [...versions].sort().join(", ") || undefined
  return [
    header(recorded, claude, takes.some(({ ending }) => ending === undefined)),
    ...takes.flatMap(({ ending, events, number, start, waits }) => [
      startLine(number, start),
      ...events.map((event) => eventLine(number, event)),
      ...ending === undefined ? [] : [endLine(number, ending, waits)]
    ])
  ].join("")
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** What is below these keys. */
export const at = (value: Json | undefined, ...path: ReadonlyArray<string>): Json | undefined =>
  path.reduce<Json | undefined>((inner, key) => isObject(inner) ? inner[key] : undefined, value)

/** The same with other texts: its values, each by its key, and its keys, by none. */
export const mapTexts = (object: JsonObject, text: (text: string, key: string) => string): JsonObject => {
  const value = (given: Json, key: string): Json => {
    if (typeof given === "string") return text(given, key)
    if (Array.isArray(given)) return given.map((each: Json) => value(each, key))
    return isObject(given) ? mapTexts(given, text) : given
  }
  return Object.fromEntries(Object.entries(object).map(([key, each]) => [text(key, ""), value(each, key)]))
}

/** A line as what it says. */
export const saidIn = (line: string): Said => {
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) ? value : line
  } catch {
    return line
  }
}

// ---------------------------------------------------------------------------

const version = 1

interface Growing extends Take {
  readonly events: Array<Event>
  ending?: Ending
  waits: ReadonlyArray<number>
}

const lineOf = (value: { readonly [key: string]: unknown }): string => `${JSON.stringify(value)}\n`

const objectAt = (line: string, number: number): JsonObject => {
  const value = saidIn(line)
  if (isObject(value)) return value
  throw new NoTape(number === 1 ? "its first line is not that of a cassette" : `line ${number} is not a JSON object`)
}

const textOf = (value: Json | undefined): string => typeof value === "string" ? value : ""

const textsOf = (value: Json | undefined): ReadonlyArray<string> => Array.isArray(value) ? value.map(String) : []

const grow = (takes: Map<number, Growing>, line: JsonObject, at: number): void => {
  const number = line["p"]
  if (typeof number !== "number") throw new NoTape(`line ${at} names no process`)
  if (isObject(line["start"])) {
    const { args, env } = line["start"]
    takes.set(number, { number, start: { args: textsOf(args), env: textsOf(env) }, events: [], waits: [] })
    return
  }
  const take = takes.get(number)
  if (take === undefined) throw new NoTape(`line ${at}: process ${number} has not been started`)
  if (isObject(line["end"])) {
    const { closed, code, signal, stderr } = line["end"]
    take.ending = {
      code: typeof code === "number" ? code : null,
      signal: typeof signal === "string" ? signal : null,
      stderr: textOf(stderr),
      closed: closed === true
    }
    take.waits = Array.isArray(line["waits"]) ? line["waits"].map(Number) : []
    return
  }
  const event = eventIn(line)
  if (event === undefined) throw new NoTape(`line ${at} is of no known kind`)
  take.events.push(event)
}

const eventIn = ({ eof, in: input, out, rest, signal }: JsonObject): Event | undefined => {
  if (isSaid(out)) return { _tag: "out", said: out }
  if (isSaid(input)) return { _tag: "in", said: input }
  if (typeof rest === "string") return { _tag: "rest", said: rest }
  if (typeof signal === "string") return { _tag: "signal", said: signal }
  return eof === true ? { _tag: "eof", said: eof } : undefined
}

const isSaid = (value: Json | undefined): value is Said => typeof value === "string" || isObject(value)

/** The CLI's version, where it tells it. */
const versionIn = (event: Event): ReadonlyArray<string> => {
  if (event._tag !== "out") return []
  const told = at(event.said, "claude_code_version") ?? at(event.said, "response", "response", "claude_code_version")
  return typeof told === "string" ? [told] : []
}
