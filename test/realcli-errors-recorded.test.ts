import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import { CCFlowError } from "@ccflow/core/ClaudeError"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { recordedVersions } from "./support/RealCli.js"

const Run = Schema.parseJson(
  Schema.Struct({ exitCode: Schema.NullOr(Schema.Int), signal: Schema.NullOr(Schema.String) })
)
const person = { type: "object", properties: { name: { type: "string" }, age: { type: "integer" } } }

/** The recorded runs that ended in failure, and the few good ones that are easily taken for it. */
const recorded: Readonly<
  Record<string, { readonly tag: string; readonly fields?: object; readonly structured?: true }>
> = {
  "api-400-prompt-too-long": { tag: "ContextOverflowError" },
  "api-401": { tag: "AuthenticationError", fields: { status: 401 } },
  "api-401-oauth": { tag: "AuthenticationError", fields: { status: 401 } },
  "api-403": { tag: "AuthenticationError", fields: { status: 403 } },
  "api-404": { tag: "ModelNotFoundError" },
  "api-413": { tag: "ApiError", fields: { status: 413, type: "request_too_large" } },
  "api-429-key": { tag: "ApiError", fields: { status: 429, type: "rate_limit_error" } },
  "api-429-subscription": { tag: "UsageLimitError", fields: { limit: "five_hour" } },
  "api-500": { tag: "ApiError", fields: { status: 500, type: "api_error" } },
  "api-529": { tag: "OverloadedError" },
  "connection-refused": { tag: "ApiError", fields: { status: null, type: "connection_failed" } },
  "cut-always-partial": { tag: "ApiError", fields: { status: null, type: "connection_failed" } },
  "not-logged-in": { tag: "AuthenticationError", fields: { status: null } },
  "refusal": { tag: "RefusalError" },
  "max-turns": { tag: "MaxTurnsError" },
  "max-budget": { tag: "BudgetExceededError" },
  "json-schema-never": { tag: "StructuredOutputError", fields: { reason: "NeverGiven" }, structured: true },
  "resume-unknown": { tag: "SessionNotFoundError" },
  "bad-flag": { tag: "InvalidOptionsError", fields: { field: "noSuchFlag" } },
  "interrupt-partial": { tag: "CliExitError", fields: { reason: "Interrupted" } },
  "json-schema": { tag: "Result", structured: true },
  "tool-denied": { tag: "Result" },
  "subscription-warning": { tag: "Result" },
  "cut-partial": { tag: "Result" },
  "text": { tag: "Result" }
}

const replay = (name: string) => {
  const read = (file: string) => readFileSync(fileURLToPath(new URL(`recordings/${name}/${file}`, import.meta.url)))
  const { exitCode, signal } = Schema.decodeUnknownSync(Run)(read("run.json").toString())
  const turn = [
    FakeCli.raw(read("stdout.ndjson")),
    FakeCli.stderr(read("stderr.txt").toString()),
    signal === null ? FakeCli.exit(exitCode ?? 0) : FakeCli.kill(signal)
  ]
  return Claude.layer.pipe(
    Layer.provide(Layer.mergeAll(FakeCli.layer([turn]), MessageParser.layer, ClaudeConfig.layerWith({})))
  )
}

describe.each(recordedVersions)("a recorded run of claude %s", (version) => {
  it.effect.each(Object.entries(recorded).map(([name, wanted]) => ({ name, wanted, tag: wanted.tag })))(
    "$name ends in $tag",
    ({ name, wanted }) =>
      Claude.result("hi", wanted.structured === true ? { outputSchema: person } : {}).pipe(
        Effect.either,
        Effect.map((ended) => {
          const value: { readonly _tag: string } = ended._tag === "Right" ? ended.right : ended.left
          assert.strictEqual(value._tag, wanted.tag)
          assert.deepInclude(value, wanted.fields ?? {})
          if (value instanceof CCFlowError) assert.notStrictEqual(value.hint, "")
        }),
        Effect.provide(replay(`${name}-${version}`))
      )
  )
})
