import { decode, type QueryOptions } from "@ccflow/core/AgentOptions"
import type { BatchItem } from "@ccflow/core/Batch"
import type { Prompt } from "@ccflow/core/Claude"
import * as Either from "effect/Either"
import { createHash } from "node:crypto"
import { CsvError, type CsvRow, csvRows } from "./batchCsv.js"
import { invalidOption } from "./invalidOption.js"
import { oneLine } from "./safe.js"
import { clipped } from "./width.js"

export const formats = ["txt", "jsonl", "csv"] as const
export type Format = (typeof formats)[number]

/** How prompts are found in the input. */
export interface Reading {
  readonly format: Format
  /** Of CSV. Default: `prompt`, or the only column. */
  readonly promptColumn?: string | undefined
  /** Of CSV. Default: `key`, where there is such a column. */
  readonly keyColumn?: string | undefined
  /** Of CSV: the prompt, with `{{column}}` for what a row has there. */
  readonly template?: string | undefined
  /**
   * Nothing is remembered of what was read: keys of our own are made of a prompt's place and words, so that they hold as
   * long as the input begins in the same way.
   */
  readonly endless?: boolean | undefined
}

/** One prompt of the input. */
export interface Item extends BatchItem {
  readonly key: string
  /** Its place among the prompts, from 0. */
  readonly index: number
}

/** What a file is, by its name. */
export const formatOf = (path: string): Format | undefined => {
  const ending = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase()
  return ending === "ndjson" ? "jsonl" : formats.find((format) => format === ending)
}

/**
 * The prompts of a text as it comes, each with a key: the one that it was given, else one made of what it asks and how
 * often that was asked before, so that it is the same when the input is given again, even with lines added. Throws an
 * `InvalidOptionsError` that names the line of what cannot be read.
 */
export async function* items(chunks: AsyncIterable<Uint8Array>, reading: Reading): AsyncGenerator<Item> {
  const keys = new Map<string, number>()
  let index = 0
  for await (const { key: given, line, ...item } of readers[reading.format](text(chunks), reading)) {
    if (reading.endless === true) {
      yield { ...item, key: given ?? `${index}#${hash([item.prompt, item.options])}`, index: index++ }
      continue
    }
    if (given !== undefined && keys.has(given)) {
      throw bad(line, `the key "${shown(given)}" is that of another prompt`, "Each prompt needs a key of its own.")
    }
    const same = given ?? `#${hash([item.prompt, item.options])}`
    const times = (keys.get(same) ?? 0) + 1
    keys.set(same, times)
    yield { ...item, key: given ?? (times === 1 ? same : `${same}-${times}`), index: index++ }
  }
}

// ---------------------------------------------------------------------------

interface Found extends BatchItem {
  readonly line: number
}

async function* texts(text: AsyncIterable<string>): AsyncGenerator<Found> {
  for await (const { line, words } of lines(text)) yield { line, prompt: words }
}

async function* objects(text: AsyncIterable<string>): AsyncGenerator<Found> {
  for await (const { line, words } of lines(text)) {
    let value: unknown
    try {
      value = JSON.parse(words)
    } catch {
      throw bad(line, "it is not JSON", "Each line is a JSON string, or an object with a \"prompt\".")
    }
    yield { line, ...objectOf(value, line) }
  }
}

const objectOf = (value: unknown, line: number): BatchItem => {
  if (typeof value === "string") return { prompt: promptOf(value, line) }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw bad(line, "it is neither a string nor an object", "Write a JSON string, or { \"prompt\": \"…\" }.")
  }
  const { key, options, priority, prompt, ...rest } = value as { readonly [field: string]: unknown }
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) {
    throw bad(line, `there is no field "${shown(unknown)}"`, "An object has prompt, key, options and priority.")
  }
  if (key !== undefined && (typeof key !== "string" || key.trim() === "")) {
    throw bad(line, "its key is not a text", "A key is a text of at least one letter, different for each prompt.")
  }
  if (priority !== undefined && (typeof priority !== "number" || !Number.isFinite(priority))) {
    throw bad(line, "its priority is not a number", "Higher comes first; left out it is 0.")
  }
  return { prompt: promptOf(prompt, line), key, options: optionsOf(options, line), priority }
}

const promptOf = (prompt: unknown, line: number): Prompt => {
  if (typeof prompt === "string" && prompt.trim() !== "") return prompt
  if (Array.isArray(prompt) && prompt.length > 0 && prompt.every(isBlock)) return prompt
  throw bad(line, "it has no prompt", "A prompt is a text, or a list of blocks such as { \"type\": \"text\", … }.")
}

const isBlock = (block: unknown): block is { readonly type: string } =>
  typeof block === "object" && block !== null && "type" in block && typeof block.type === "string"

const optionsOf = (options: unknown, line: number): QueryOptions | undefined => {
  if (options === undefined) return undefined
  return Either.getOrThrowWith(
    decode(options),
    ({ detail, field, hint }) => bad(line, `invalid option ${field}: ${detail}`, hint)
  )
}

async function* rows(text: AsyncIterable<string>, reading: Reading): AsyncGenerator<Found> {
  let read: ((row: CsvRow) => Found) | undefined
  try {
    for await (const row of csvRows(text)) {
      if (read === undefined) read = columns(row, reading)
      else yield read(row)
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw bad(error.line, error.message, "Fields with commas, quotes or newlines stand in quotes; a quote is doubled.")
  }
}

const readers = { txt: texts, jsonl: objects, csv: rows }

/** What to take of each row, as the first one says. */
const columns = (header: CsvRow, { keyColumn, promptColumn, template }: Reading): (row: CsvRow) => Found => {
  const names = header.fields.map((name) => name.trim())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw bad(header.line, `there are two columns "${shown(twice)}"`, "Rename one of them.")
  const place = (name: string, option: string) => {
    const at = names.indexOf(name)
    if (at >= 0) return at
    const hint = `The columns are: ${names.map(shown).join(", ")}.`
    throw invalidOption(option, `there is no column "${shown(name)}"`, hint)
  }
  const keyAt = keyColumn === undefined ? names.indexOf("key") : place(keyColumn, "--key-column")
  const say = template === undefined
    ? taking(place(promptColumn ?? (names.length === 1 ? names[0]! : "prompt"), "--prompt-column"))
    : filling(template, (name) => place(name, "--template"))
  return ({ fields, line }) => {
    if (fields.length !== names.length) {
      throw bad(line, `it has ${fields.length} fields`, `The header has ${names.length}.`)
    }
    const key = fields[keyAt]
    if (key?.trim() === "") throw bad(line, "its key is empty", "Each row needs a key of its own.")
    return { line, key, prompt: promptOf(say(fields), line) }
  }
}

const taking = (at: number) => (fields: ReadonlyArray<string>) => fields[at]!

/** What a row has is put in as it is, and not looked at again. */
const filling = (template: string, place: (name: string) => number) => {
  const parts = template.split(/\{\{\s*(.*?)\s*\}\}/).map((part, index) => index % 2 === 0 ? part : place(part))
  return (fields: ReadonlyArray<string>) => parts.map((part) => typeof part === "string" ? part : fields[part]).join("")
}

/** Those that are not blank, without what stands around them. */
async function* lines(text: AsyncIterable<string>): AsyncGenerator<{ readonly line: number; readonly words: string }> {
  let line = 0
  const pieces: Array<string> = []
  for await (const piece of text) {
    const [first = "", ...rest] = piece.split("\n")
    pieces.push(first)
    for (const next of rest) {
      line++
      const words = pieces.splice(0, pieces.length, next).join("").trim()
      if (words !== "") yield { line, words }
    }
  }
  const words = pieces.join("").trim()
  if (words !== "") yield { line: line + 1, words }
}

/** Bytes that are no text are refused: they would be asked as something else. */
async function* text(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true })
  const decoded = (chunk?: Uint8Array) => {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
    } catch {
      throw invalidOption("file", "it is not UTF-8", "Save it as UTF-8.")
    }
  }
  for await (const chunk of chunks) yield decoded(chunk)
  yield decoded()
}

const hash = (value: unknown): string => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16)

const shown = (text: string): string => clipped(oneLine(text), 60)

const bad = (line: number, detail: string, hint: string) => invalidOption(`line ${line}`, detail, hint)
