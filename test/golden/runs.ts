import { Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** One recorded run of the real CLI. */
export interface Run {
  readonly name: string
  readonly stdout: Uint8Array
  readonly stderr: string
  readonly args: ReadonlyArray<string>
  /** What the host wrote. */
  readonly stdin: string
  readonly exitCode: number | null
  readonly signal: string | null
}

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** The runs behind our knowledge of the CLI. They lie beside the checkout, and need not be there. */
export const transcriptsFolder = folder("../../../shared/transcripts")

/** The project's own recordings of the versions it supports. */
export const recordingsFolder = folder("../recordings")

const Args = Schema.parseJson(Schema.Struct({ args: Schema.Array(Schema.String) }))
const Exit = Schema.parseJson(Schema.Struct({
  code: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String)
}))
const Recorded = Schema.parseJson(Schema.Struct({
  argv: Schema.Array(Schema.String),
  stdin: Schema.Array(Schema.String),
  exitCode: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String)
}))

const runsIn = (root: string, read: (name: string, file: (name: string) => Buffer) => Run): ReadonlyArray<Run> =>
  !existsSync(root) ? [] : readdirSync(root)
    .filter((name) => existsSync(`${root}/${name}/stdout.ndjson`))
    .sort()
    .map((name) => read(name, (file) => readFileSync(`${root}/${name}/${file}`)))

export const transcripts = (): ReadonlyArray<Run> =>
  runsIn(transcriptsFolder, (name, file) => {
    const { code, signal } = Schema.decodeUnknownSync(Exit)(file("exit.json").toString())
    return {
      name,
      stdout: file("stdout.ndjson"),
      stderr: file("stderr.txt").toString(),
      args: Schema.decodeUnknownSync(Args)(file("args.json").toString()).args,
      stdin: file("stdin.ndjson").toString(),
      exitCode: code,
      signal
    }
  })

export const recordings = (): ReadonlyArray<Run> =>
  runsIn(recordingsFolder, (name, file) => {
    const { argv, exitCode, signal, stdin } = Schema.decodeUnknownSync(Recorded)(file("run.json").toString())
    return {
      name,
      stdout: file("stdout.ndjson"),
      stderr: file("stderr.txt").toString(),
      args: argv,
      stdin: stdin.join("\n"),
      exitCode,
      signal
    }
  })
