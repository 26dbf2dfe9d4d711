/**
 * A recording of what a program and the real CLI said to each other, and a CLI that plays it: the test of a program runs
 * on true answers, without a login, a network or costs.
 *
 * A cassette is a file of lines of JSON, one for each line that was said, for all processes that the program started. What
 * would tell who recorded it, or differ each time, is not in it: secrets, places, e-mails, accounts, ids, measured times.
 * What is played must be asked as it was: another prompt, or another answer to a permission request, a hook or a tool,
 * ends the process with what is different on its stderr, which is what the error of the query shows.
 */
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import { CliProcess, type Invocation } from "@ccflow/core/CliProcess"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import { isSecretName } from "@ccflow/core/Redaction"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { deckOf, ownClaims } from "./internal/cassetteDeck.js"
import { NoTape, parse, type Tape } from "./internal/cassetteFormat.js"
import { playing } from "./internal/cassettePlaying.js"
import { recordingTo } from "./internal/cassetteRecording.js"
import { type Scrub, scrubber } from "./internal/cassetteScrub.js"

/** What is taken out of a recording, beside what always is. A cassette is played with the rules it was recorded with. */
export interface RedactOptions {
  /** Values that must not be in it, such as those of `Logs.secretsOf(process.env)`. */
  readonly secrets?: ReadonlyArray<string> | undefined
  /** Goes over every text before the other rules. It must give the same for what it has given. */
  readonly redact?: ((text: string) => string) | undefined
}

/** What must be as it was recorded, beside prompts and answers. */
export interface Match {
  /** Default: false. */
  readonly model?: boolean | undefined
  /** All flags, the `initialize` request (system prompt, hooks, agents) and the tools that are offered. Default: false. */
  readonly flags?: boolean | undefined
}

export interface PlayOptions extends RedactOptions {
  readonly match?: Match | undefined
  /** `recorded` waits as the CLI did, on the Effect clock. Default: `instant`. */
  readonly time?: "instant" | "recorded" | undefined
}

/** What became of a cassette that is played. */
export class Cassette extends Context.Tag("@ccflow/testing/Cassette")<Cassette, {
  /** What was asked and is not in it, as the program was told. */
  readonly mismatches: Effect.Effect<ReadonlyArray<string>>
  /** The numbers of the recorded processes that nobody has asked for. */
  readonly unplayed: Effect.Effect<ReadonlyArray<number>>
}>() {}

/**
 * Plays the cassette, each process once. Which one a program gets is decided by what it asks, so that a batch may start
 * its processes in any order. A file that is none fails with `InvalidOptionsError`.
 */
export const layer = (
  file: string,
  options: PlayOptions = {}
): Layer.Layer<CliProcess | Cassette, InvalidOptionsError, FileSystem.FileSystem> =>
  Layer.effectContext(Effect.gen(function*() {
    const tape = yield* read(file)
    const scrubOf = yield* scrubbing(options)
    const deck = deckOf(tape, options.match ?? {}, ownClaims())
    return Context.make(CliProcess, {
      open: (invocation) => playing(deck, invocation, scrubOf(invocation), options.time === "recorded")
    }).pipe(Context.add(Cassette, {
      mismatches: Effect.sync(() => [...deck.mismatches]),
      unplayed: Effect.sync(() => deck.unplayed().map(({ number }) => number))
    }))
  }))

/**
 * Records what goes through the CLI beneath. The file is begun anew and is a cassette at any moment: of a program that
 * dies it holds what was said until then, marked as cut. It is for its owner alone, until you say otherwise.
 */
export const record = (
  file: string,
  options: RedactOptions = {}
): Layer.Layer<CliProcess, InvalidOptionsError, CliProcess | FileSystem.FileSystem> =>
  Layer.effect(
    CliProcess,
    Effect.gen(function*() {
      const cli = yield* CliProcess
      const scrubOf = yield* scrubbing(options)
      const recorded = yield* Effect.mapError(
        recordingTo(file),
        (error) => unusable(`${file} cannot be written: ${error.message}`)
      )
      return { open: (invocation) => recorded(cli, invocation, scrubOf(invocation)) }
    })
  )

/** The whole `Claude` service from a cassette, without policies: what a test provides in place of the real one. */
export const layerClaude = (
  file: string,
  options?: PlayOptions
): Layer.Layer<Claude.Claude | Cassette, InvalidOptionsError, FileSystem.FileSystem> =>
  Layer.provideMerge(
    Claude.layerWith().pipe(
      Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} }), Policies.layerNoop])
    ),
    layer(file, options)
  )

// ---------------------------------------------------------------------------

const read = (file: string): Effect.Effect<Tape, InvalidOptionsError, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFileString(file)).pipe(
    Effect.mapError((error) =>
      unusable(
        error._tag === "SystemError" && error.reason === "NotFound" ? `there is no file ${file}` : error.message,
        "Record it first, with Cassette.record or ccflow record."
      )
    ),
    Effect.flatMap((text) =>
      Effect.try({
        try: () => parse(text),
        catch: (cause) => unusable(`${file}: ${cause instanceof NoTape ? cause.message : String(cause)}`)
      })
    )
  )

const unusable = (detail: string, hint = "Record it again."): InvalidOptionsError =>
  new InvalidOptionsError({ field: "cassette", detail, hint })

/** How texts are cleaned here, for each process: by where it works and what it is told. */
const scrubbing = (
  rules: RedactOptions
): Effect.Effect<(invocation: Invocation) => Scrub, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const [cwd, homes, tmps, secrets] = yield* Effect.all([
      Effect.flatMap(FileSystem.FileSystem, (fileSystem) => Effect.orElseSucceed(fileSystem.realPath("."), () => "")),
      valuesOf(homeNames),
      valuesOf(tmpNames),
      valuesOf(secretNames)
    ])
    return ({ cwd: own, env }) => {
      const given = (names: ReadonlyArray<string>) => names.flatMap((name) => env[name] ?? [])
      return scrubber({
        homes: [...given(homeNames), ...homes],
        cwds: own === undefined ? [cwd] : [own, cwd],
        tmps: [...given(tmpNames), ...tmps],
        secrets: [
          ...rules.secrets ?? [],
          ...secrets,
          ...Object.entries(env).flatMap(([name, value]) => value !== undefined && isSecretName(name) ? [value] : [])
        ],
        redact: rules.redact
      })
    }
  })

const homeNames = ["HOME", "USERPROFILE"]
const tmpNames = ["TMPDIR", "TEMP", "TMP"]
const secretNames = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]

const valuesOf = (names: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.orElseSucceed(Config.string(name), () => "")),
    (values) => values.filter((value) => value !== "")
  )
