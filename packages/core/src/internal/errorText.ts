import * as Schema from "effect/Schema"
import type { RunFacts } from "./runFacts.js"

/** What every error of ours has in it, so that `instanceof` knows it also in another copy of the library. */
export const TypeId: unique symbol = Symbol.for("@ccflow/core/CCFlowError")

type Hinted<Fields extends Schema.Struct.Fields> = Fields & { hint: typeof Schema.String }

/** A class of errors of ours: its fields with a hint, and the text that is made of them. */
export const failure = <Self>() =>
<const Tag extends string, Fields extends Schema.Struct.Fields>(
  tag: Tag,
  fields: Fields,
  text: (error: Schema.Struct.Type<Hinted<Fields>>) => string
) => {
  const Failure = Schema.TaggedError<Self>()<Tag, Hinted<Fields>>(tag, { ...fields, hint: Schema.String })
  // What class it is, the compiler knows where `Self` is known.
  Object.defineProperties(Object(Failure).prototype, {
    [TypeId]: { value: TypeId },
    message: {
      configurable: true,
      get() {
        return text(this)
      }
    }
  })
  return Failure
}

/** What has been explained already. */
export const explained = ({ detail, hint }: { readonly detail: string; readonly hint: string }): string =>
  say(detail, hint)

/** With how the process ended. */
export const describe = (what: string, error: { readonly facts: RunFacts; readonly hint: string }): string => {
  const { exitCode, signal, stderrTail } = error.facts
  const how = signal !== null ? `signal ${signal}` : exitCode !== null ? `exit code ${exitCode}` : "killed"
  const lastLine = stderrTail.trim().split("\n").at(-1) ?? ""
  return say(`${brief(what)} (${how}${lastLine === "" ? "" : `; stderr: ${brief(lastLine)}`})`, error.hint)
}

export const say = (what: string, hint: string): string =>
  `${brief(what)}${/[.!?]$/.test(brief(what)) ? "" : "."} ${hint}`

/** UTC epoch milliseconds as text, where they are a date: what others have said need not be one. */
export const dateText = (at: number | undefined): string | undefined => {
  const date = new Date(at ?? NaN)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

// ---------------------------------------------------------------------------

/** What the CLI explains at length is in `detail`: the message takes its first paragraph, on one line. */
const brief = (text: string): string => {
  const line = (text.trim().split(/\n\s*\n/)[0] ?? "").replace(/\s+/g, " ").replace(secrets, "<redacted>")
  return line.length <= longest ? line : `${line.slice(0, longest)}…`
}

const longest = 400

/** Keys and tokens, should the CLI or what it started have printed one. */
const secrets = /\bsk-[\w-]{8,}|\bBearer \S+/g
