/** `ccflow toon`: how a file of data would be given to the model, as TOON and as JSON, and what that saves. */
import type { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import { jsonFault } from "@ccflow/node/JsonFault"
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { readFile } from "node:fs/promises"
import { text as stdin } from "node:stream/consumers"
import { codeOf } from "./internal/errorCode.js"
import * as Flags from "./internal/flags.js"
import { invalidOption } from "./internal/invalidOption.js"
import { command } from "./internal/running.js"
import * as Table from "./internal/table.js"
import { Terminal } from "./Terminal.js"

export const run = command(
  "ccflow toon",
  [
    "Shows data as the model would get it as a context: as TOON where that has fewer tokens, else as JSON.",
    "Tokens are estimates; those of TOON count the line that tells the model what it is."
  ],
  {
    file: Args.text({ name: "file" }).pipe(
      Args.withDescription("A file of JSON; - or nothing for stdin."),
      Args.withDefault("-")
    ),
    json: Flags.flag("json", "Print one object: { format, savedTokens, savedPercent, json, toon }."),
    decode: Flags.flag("decode", "The file is TOON: print it as JSON.")
  },
  ({ decode, file, json }) =>
    Effect.gen(function*() {
      const terminal = yield* Terminal
      const text = yield* textOf(file)
      if (decode) {
        const data = yield* Either.mapLeft(ContextEncoder.fromToon(text), ({ detail, hint }) => bad(detail, hint))
        return yield* terminal.say(`${JSON.stringify(data, undefined, 2)}\n`)
      }
      const found = yield* comparisonOf(yield* dataOf(text))
      yield* terminal.say(json ? `${JSON.stringify(found, undefined, 2)}\n` : shown(found))
    })
)

// ---------------------------------------------------------------------------

const comparisonOf = (data: unknown) =>
  Effect.map(ContextEncoder.encode(data), ({ format, jsonTokens, savedTokens, toonTokens }) => ({
    /** What the model would get. */
    format,
    savedTokens,
    savedPercent: jsonTokens === 0 ? 0 : Math.round(savedTokens / jsonTokens * 1000) / 10,
    json: encodingOf(JSON.stringify(data), jsonTokens),
    /** There is none of what TOON cannot hold. */
    toon: Either.match(ContextEncoder.toToon(data), {
      onLeft: () => null,
      onRight: (toon) => encodingOf(toon, toonTokens)
    })
  }))

const encodingOf = (text: string, tokens: number) => ({ tokens, bytes: Buffer.byteLength(text), text })

const shown = (
  { format, json, savedPercent, savedTokens, toon }: Effect.Effect.Success<ReturnType<typeof comparisonOf>>
): string => {
  const row = (name: string, { bytes, tokens }: ReturnType<typeof encodingOf>) => [name, String(tokens), String(bytes)]
  const figures = Table.render(
    ["", Table.right("tokens"), Table.right("bytes")],
    [row("JSON", json), ...(toon === null ? [] : [row("TOON", toon)])]
  )
  const verdict = toon === null
    ? "TOON cannot hold this data."
    : savedTokens >= 0
    ? `TOON saves ${savedTokens} tokens (${savedPercent} %).`
    : `TOON needs ${-savedTokens} tokens more (${-savedPercent} %).`
  return [
    `JSON\n${json.text}\n`,
    ...(toon === null ? [] : [`TOON\n${toon.text}\n`]),
    figures,
    `${verdict} The model gets ${format === "toon" ? "TOON" : "JSON"}.\n`
  ].join("\n")
}

const textOf = (path: string): Effect.Effect<string, InvalidOptionsError> =>
  path === "-" && process.stdin.isTTY === true
    ? Effect.fail(bad("there is none", "Name a file of JSON behind the command, or pipe one in."))
    : Effect.tryPromise({
      try: async () =>
        (path === "-" ? await stdin(process.stdin) : await readFile(path, "utf8")).replace(/^\uFEFF/, ""),
      catch: (error) => bad(reasonOf(error), "Name a file that can be read, or - for stdin.")
    })

const reasonOf = (error: unknown): string => {
  const code = codeOf(error) || String(error)
  return reasons[code] ?? `it cannot be read: ${code}`
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder",
  EACCES: "it may not be read"
}

const dataOf = (text: string): Effect.Effect<unknown, InvalidOptionsError> =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => {
      const fault = jsonFault(text)
      const where = fault === undefined ? "" : `: line ${fault.line}, column ${fault.column}, ${fault.detail}`
      return bad(`it is not JSON${where}`, "For a file of TOON there is --decode.")
    }
  })

const bad = (detail: string, hint: string) => invalidOption("file", detail, hint)
