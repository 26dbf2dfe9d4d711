import { redactor } from "@ccflow/core/Redaction"
import { isObject, type Json, type JsonObject, type Said } from "./cassetteFormat.js"

/** The folders of one user on one machine. */
export interface Places {
  readonly homes?: ReadonlyArray<string> | undefined
  /** Where the program and its CLIs work. */
  readonly cwds?: ReadonlyArray<string> | undefined
  /** The folders for temporary files. */
  readonly tmps?: ReadonlyArray<string> | undefined
}

/** What one machine and one user leave in what a CLI hears and says. */
export interface Traces extends Places {
  /** Values that nobody may see. */
  readonly secrets?: ReadonlyArray<string> | undefined
  /** The program's own rule. It comes first. */
  readonly redact?: ((text: string) => string) | undefined
}

/** Takes them out. What it has been over once it leaves as it is. */
export interface Scrub {
  readonly text: (text: string) => string
  readonly said: (said: Said) => Said
}

/**
 * The same for everybody: places get standard names, secrets and names of people and accounts are taken out, and what was
 * measured is always the same, so that two recordings of one thing differ in nothing else.
 */
export const scrubber = ({ redact = (text) => text, secrets, ...places }: Traces): Scrub => {
  const standardized = standardizer(places)
  const withoutSecrets = redactor(secrets)

  const text = (given: string): string => {
    // What is so long and has no word in it is a picture or a document.
    if (given.length > 1000 && /^[A-Za-z0-9+/=\r\n]+$/.test(given)) return given
    return withoutSecrets(standardized(redact(given))).replace(emails, email)
  }

  const value = (given: Json, key: string, measured: boolean): Json => {
    if (typeof given === "string") {
      if (given === "") return given
      if (secretKey.test(key) && !open.test(key)) return hidden
      if (emailKey.test(key)) return email
      if (accountKey.test(key)) return account
      if (organizationKey.test(key)) return "Organization"
      return measured && key === "timestamp" ? moment : text(given)
    }
    if (typeof given === "number") return measured ? constant[key] ?? given : given
    if (Array.isArray(given)) return given.map((each: Json) => value(each, key, measured))
    return isObject(given) ? object(given, measured && !foreign.has(key)) : given
  }

  const object = (given: JsonObject, measured: boolean): JsonObject =>
    Object.fromEntries(Object.entries(given).map(([key, each]) => [text(key), value(each, key, measured)]))

  return { text, said: (said) => typeof said === "string" ? text(said) : object(said, true) }
}

/** Gives places their standard names, also within a text of many lines of JSON. */
export const standardizer = ({ cwds = [], homes = [], tmps = [] }: Places): (text: string) => string => {
  const places = [
    ...cwds.flatMap((path) => placeOf(path, standard.cwd)),
    ...homes.flatMap((path) => placeOf(path, standard.home)),
    ...tmps.flatMap((path) => placeOf(path, standard.tmp))
  ].sort((one, other) => other.length - one.length)
  return (text) => {
    let named = text
    for (const { dashed, path, standard } of places) {
      named = named.replace(path, standard).replace(dashed, dashedOf(standard))
    }
    return named.replace(/(?<=\/claude-)\d+(?=[/-])/g, "1000").replace(/(?<=cc-socks\/)\d+/g, String(pid))
  }
}

/** Flags whose values are settings, keys or prompts of a system: what they say is not for a recording. */
export const scrubArgs = (args: ReadonlyArray<string>, text: (text: string) => string): ReadonlyArray<string> =>
  args.map((arg, index) => {
    const [, flag, value] = /^(--[\w-]+)=([^]*)$/.exec(arg) ?? []
    if (flag !== undefined && value !== undefined) return `${flag}=${hiddenFlags.has(flag) ? hidden : text(value)}`
    return hiddenFlags.has(args[index - 1] ?? "") ? hidden : text(arg)
  })

// ---------------------------------------------------------------------------

const hidden = "<redacted>"
const email = "user@example.com"
const account = "00000000-0000-4000-8000-000000000000"
const moment = "2000-01-01T00:00:00.000Z"
const pid = 4242
const standard = { home: "/home/user", cwd: "/home/user/project", tmp: "/tmp" }

const hiddenFlags = new Set(["--mcp-config", "--settings", "--agents"])

const emails = /[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b/g

/** As a key of JSON, where the value alone says nothing. Counts of tokens are numbers. */
const secretKey =
  /(?:[_-]|^)(?:token|secret|password|passwd|passphrase|credentials?|authorization|cookie)$|[_-]key$|^api_?key$|[a-z](?:Key|Token|Secret|Password)$|(?:_KEY|_TOKEN|_SECRET|PASSWORD)$/i
const open = /^(?:primary|foreign|cache|sort|idempotency|partition)[_-]?key$/i
const emailKey = /^e-?mail(?:_?address)?$/i
const accountKey = /^(?:account|organi[sz]ation|org)_?(?:uu)?id$/i
const organizationKey = /^(?:organi[sz]ation|org)(?:_?name)?$/i

/** What the CLI measures. */
const constant: Readonly<Record<string, number>> = {
  ...Object.fromEntries(
    [
      "duration_ms",
      "duration_api_ms",
      "durationMs",
      "totalDurationMs",
      "ttft_ms",
      "ttft_stream_ms",
      "time_to_request_ms",
      "first_content_frame_ms",
      "request_sent_wall_ms",
      "thinking_duration_ms"
    ].map((key) => [key, 100])
  ),
  pid
}

/** Below these it is the model or the program that speaks, who may call something of theirs by such a name. */
const foreign = new Set(["input", "arguments", "structured_output", "structuredContent", "content", "updatedInput"])

interface Place {
  readonly path: RegExp
  readonly dashed: RegExp
  readonly standard: string
  readonly length: number
}

const placeOf = (given: string, standard: string): ReadonlyArray<Place> => {
  const path = given.replace(/[/\\]+$/, "")
  if (path.length < 2) return []
  return [{
    // Where JSON stands in a text, the letter of an escape may be before it.
    path: new RegExp(`(?:(?<![\\w.~-])|(?<=\\\\[nrt]))${escaped(path)}(?![\\w-])`, "g"),
    // As the CLI calls the folder of a project's transcripts.
    dashed: new RegExp(`(?<=[/\\\\])${escaped(dashedOf(path))}(?![A-Za-z0-9])`, "g"),
    standard,
    length: path.length
  }]
}

const dashedOf = (path: string): string => path.replace(/[^A-Za-z0-9]/g, "-")

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
