import type { Invocation } from "@ccflow/core/CliProcess"
import { isSecretName } from "@ccflow/core/Redaction"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { RedactOptions } from "../Cassette.js"
import { type Scrub, scrubber } from "./cassetteScrub.js"

/** How texts are cleaned here, for each process: by where it works and what it is told. */
export const scrubbing = (
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

// ---------------------------------------------------------------------------

const homeNames = ["HOME", "USERPROFILE"]
const tmpNames = ["TMPDIR", "TEMP", "TMP"]
const secretNames = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]

const valuesOf = (names: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.forEach(names, (name) => Effect.orElseSucceed(Config.string(name), () => "")),
    (values) => values.filter((value) => value !== "")
  )
