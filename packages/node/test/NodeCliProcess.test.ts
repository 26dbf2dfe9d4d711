import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import * as CliProcessSuite from "@ccflow/testing/CliProcessSuite"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { descriptors, linux } from "./support.js"

const suite = CliProcessSuite.suite({
  command: fileURLToPath(new URL("../../testing/bin/fake-claude.mjs", import.meta.url)),
  held: linux ? Effect.sync(descriptors) : undefined
})

describe("a CLI as a child process", () => {
  for (const { name, run } of suite) {
    it.live(name, () => Effect.provide(run, NodeCliProcess.layer), 60_000)
  }
})
