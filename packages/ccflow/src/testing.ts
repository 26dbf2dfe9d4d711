/** For tests of programs that use `ccflow`: a client on a fake CLI, or on a recorded one. No process, no network. */
import { decode, type QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import * as Logs from "@ccflow/core/Logs"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import * as Cassette from "@ccflow/testing/Cassette"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { type Client, type FakeConfig, make } from "./Client.js"
import { valueIn } from "./Owner.js"

export { FakeCli }

/** A client, and what it did with its CLIs. */
export interface FakeClient extends Client {
  readonly fake: Fakes
}

/** As it is at the moment when it is looked at. */
export interface Fakes {
  readonly started: ReadonlyArray<FakeCli.Started>
  /** The only CLI that was started. Throws where there are none or several, and says which. */
  readonly only: FakeCli.Started
  /** The prompts that all of them were sent, in order. */
  readonly prompts: ReadonlyArray<unknown>
}

/** A client whose CLI plays this script. */
export const fakeClient = (plays: FakeCli.Plays, config?: FakeConfig): FakeClient => {
  const made = Effect.runSync(FakeCli.make(plays))
  const { only, prompts, started } = Context.get(made, FakeCli.FakeCli)
  const now = <A>(look: Effect.Effect<A>): A => valueIn(Effect.runSyncExit(look))
  return Object.assign(make(FakeClaude.layerOf(made), config), {
    fake: {
      get started() {
        return now(started)
      },
      get only() {
        return now(only)
      },
      get prompts() {
        return now(prompts)
      }
    }
  })
}

export interface CassetteConfig extends FakeConfig, Cassette.PlayOptions {
  /**
   * `record` asks the real CLI and begins the file anew; `replay` plays it. Default: `auto`, which records where there is
   * no file, but not where the variable `CI` is set.
   */
  readonly mode?: "auto" | "record" | "replay" | undefined
  /** What all calls start from. */
  readonly options?: QueryOptions | undefined
}

/** A client whose CLI is recorded to this file, or played from it. A call that it does not have says what differs. */
export const cassetteClient = (file: string, config: CassetteConfig = {}): Client => {
  const { match, mode = "auto", options = {}, redact, secrets, time, ...rest } = config
  const records = mode === "record" || mode === "auto" && !existsSync(file) && (process.env["CI"] ?? "") === ""
  const rules = { redact, secrets: [...secrets ?? [], ...Logs.secretsOf(process.env)] }
  const cli = records
    ? Layer.provide(Cassette.record(file, rules), NodeCliProcess.layer)
    : Cassette.layer(file, { ...rules, match, time })
  const defaults = records
    ? ClaudeConfig.layerWith(options)
    : Layer.effect(ClaudeConfig.ClaudeConfig, Effect.map(decode(options), (defaults) => ({ defaults })))
  return make(
    Claude.layerWith().pipe(
      Layer.provide([MessageParser.layer, defaults, Policies.layerNoop, Layer.provide(cli, NodeFileSystem.layer)])
    ),
    rest
  )
}
