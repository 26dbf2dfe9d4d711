import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { CliProcess } from "@ccflow/core/CliProcess"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as Cassette from "@ccflow/testing/Cassette"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { join } from "node:path"

/** `Claude` on any CLI. */
const claudeOn = <E, R>(cli: Layer.Layer<CliProcess | FakeCli.FakeCli, E, R>) =>
  Claude.layerWith().pipe(
    Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} }), Policies.layerNoop]),
    Layer.provideMerge(cli)
  )

export type Script = Parameters<typeof FakeCli.layer>[0]

/** Runs a program on a fake CLI whose words are recorded. */
export const record = <A, E>(
  file: string,
  script: Script,
  program: Effect.Effect<A, E, Claude.Claude | FakeCli.FakeCli | CliProcess>,
  options?: Cassette.RedactOptions
) =>
  Effect.provide(
    program,
    claudeOn(Layer.provideMerge(Cassette.record(file, options), FakeCli.layer(script))).pipe(
      Layer.provide(NodeFileSystem.layer)
    )
  )

/** Runs a program on a cassette. */
export const play = <A, E>(
  file: string,
  program: Effect.Effect<A, E, Claude.Claude | Cassette.Cassette | CliProcess>,
  options?: Cassette.PlayOptions
) =>
  Effect.provide(
    program,
    Layer.provideMerge(
      Claude.layerWith().pipe(
        Layer.provide([MessageParser.layer, Layer.succeed(ClaudeConfig, { defaults: {} }), Policies.layerNoop])
      ),
      Cassette.layer(file, options)
    ).pipe(Layer.provide(NodeFileSystem.layer))
  )

/** Gives the path of a file in a folder of its own, which goes with the scope. */
export const tape = Effect.gen(function*() {
  const fileSystem = yield* FileSystem.FileSystem
  return join(yield* fileSystem.makeTempDirectoryScoped({ prefix: "cassette-" }), "tape.ndjson")
}).pipe(Effect.provide(NodeFileSystem.layer))

export const read = (file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.readFileString(file)).pipe(
    Effect.provide(NodeFileSystem.layer)
  )

export const write = (file: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.writeFileString(file, text)).pipe(
    Effect.provide(NodeFileSystem.layer)
  )
