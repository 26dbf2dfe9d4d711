/** The shape of a version of the CLI: all that a new version can change under us, small enough to be committed. */
import { isRecord } from "effect/Predicate"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Fields, fieldsOf, sorted } from "./fields.js"

export interface Shape {
  readonly version: string
  /** By kind: type, subtype and what else tells frames apart. */
  readonly frames: Readonly<Record<string, Fields>>
  /** By scenario: how the process ended, and what each of its results said. */
  readonly runs: Readonly<Record<string, string>>
  /** By command, `claude` first: what its `--help` lists. */
  readonly flags: Readonly<Record<string, ReadonlyArray<string>>>
  /** What the executable declares and `--help` does not list. */
  readonly hiddenFlags: ReadonlyArray<string>
  /** By control request that was sent to it: the answer's fields, or why there are none. */
  readonly requests: Readonly<Record<string, Fields | string>>
  /** Names in the executable's text, whether or not anything was seen of them. */
  readonly declared: { readonly system: ReadonlyArray<string>; readonly requests: ReadonlyArray<string> }
  readonly environment: ReadonlyArray<string>
}

/** The part of a shape that recordings tell by themselves. */
export type RecordedShape = Pick<Shape, "frames" | "runs">

export interface RecordedRun {
  readonly name: string
  readonly exitCode: number | null
  readonly signal: string | null
  readonly stdin: ReadonlyArray<string>
  readonly stdout: string
}

type Json = Readonly<Record<string, unknown>>

const field = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((held, key) => isRecord(held) ? held[key] : undefined, value)

/** A line that is not JSON, or no object, is noise: it has no shape. */
export const parseLine = (line: string): Json | undefined => {
  if (!line.startsWith("{")) return undefined
  try {
    const value: unknown = JSON.parse(line)
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The kind of a frame. `asked` tells the subtype of a request of ours by its id: an answer does not repeat it. */
export const kindOf = (frame: Json, asked: (id: unknown) => string | undefined = () => undefined): string => {
  const parts = ((): ReadonlyArray<unknown> => {
    switch (frame["type"]) {
      case "stream_event": {
        const event = frame["event"]
        return [field(event, "type"), field(event, "delta", "type") ?? field(event, "content_block", "type")]
      }
      case "assistant":
        return [field(frame, "message", "model") === "<synthetic>" ? "synthetic" : undefined]
      case "control_request":
        return [field(frame, "request", "subtype"), field(frame, "request", "input", "hook_event_name")]
      case "control_response":
        return [asked(field(frame, "response", "request_id")) ?? "unasked"]
      default:
        return [frame["subtype"]]
    }
  })()
  return [frame["type"], ...parts].filter((part) => typeof part === "string").join("/")
}

const requestsIn = (stdin: ReadonlyArray<string>): ReadonlyMap<unknown, string> =>
  new Map(stdin.flatMap((line) => {
    const frame = parseLine(line)
    const subtype = field(frame, "request", "subtype")
    return typeof subtype === "string" ? [[frame?.["request_id"], subtype] as const] : []
  }))

const framesOf = (run: RecordedRun): ReadonlyArray<readonly [string, Json]> => {
  const requests = requestsIn(run.stdin)
  return run.stdout.split("\n").flatMap((line) => {
    const frame = parseLine(line)
    return frame === undefined ? [] : [[kindOf(frame, (id) => requests.get(id)), frame] as const]
  })
}

const outcomeOf = (frame: Json): string =>
  [frame["subtype"], frame["terminal_reason"], frame["api_error"], frame["is_error"] === true ? "error" : undefined]
    .filter((part) => typeof part === "string")
    .join(" ")

/** How a run went in one line: `exit 1: success api_error error`. */
export const endingOf = (run: RecordedRun): string => {
  const results = framesOf(run).flatMap(([, frame]) => frame["type"] === "result" ? [outcomeOf(frame)] : [])
  return `${run.signal ?? `exit ${run.exitCode}`}: ${results.length === 0 ? "no result" : results.join(", ")}`
}

/** What the runs show; their order does not matter. */
export const recordedShape = (runs: ReadonlyArray<RecordedRun>): RecordedShape => {
  const byKind = new Map<string, Array<unknown>>()
  for (const run of runs) {
    for (const [kind, frame] of framesOf(run)) {
      const known = byKind.get(kind)
      if (known === undefined) byKind.set(kind, [frame])
      else known.push(frame)
    }
  }
  return {
    frames: sorted(Object.fromEntries(Array.from(byKind, ([kind, frames]) => [kind, fieldsOf(frames)]))),
    runs: sorted(Object.fromEntries(runs.map((run) => [run.name, endingOf(run)])))
  }
}

/** The recordings of a version in a folder, as `npm run record` leaves them. */
export const readRuns = (folder: string, version: string): ReadonlyArray<RecordedRun> =>
  readdirSync(folder).filter((name) => name.endsWith(`-${version}`)).map((name) => {
    const run: RecordedRun = JSON.parse(readFileSync(join(folder, name, "run.json"), "utf8"))
    return { ...run, stdout: readFileSync(join(folder, name, "stdout.ndjson"), "utf8") }
  })

/** The repository's own recordings of a supported version, which its kept shape agrees with. */
export const ownRuns = (version: string): ReadonlyArray<RecordedRun> =>
  readRuns(fileURLToPath(new URL("../../test/recordings/", import.meta.url)), version)

const shapesFolder = fileURLToPath(new URL("shapes/", import.meta.url))

const numbersOf = (version: string): ReadonlyArray<number> => version.split(/[.-]/).map(Number)

/** By their numbers: 2.1.9 is before 2.1.10. */
export const compareVersions = (a: string, b: string): number => {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  const at = left.findIndex((part, index) => part !== (right[index] ?? 0))
  return at < 0 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? 0)
}

/** The versions whose shape is kept, the oldest first. */
export const keptVersions = (): ReadonlyArray<string> =>
  readdirSync(shapesFolder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length))
    .sort(compareVersions)

export const readShape = (version: string): Shape =>
  JSON.parse(readFileSync(join(shapesFolder, `${version}.json`), "utf8"))

export const writeShape = (shape: Shape): void =>
  writeFileSync(join(shapesFolder, `${shape.version}.json`), `${JSON.stringify(shape, null, 1)}\n`)
