import * as CliProcessSuite from "@ccflow/testing/CliProcessSuite"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { describe, it } from "vitest"
import { layer } from "../examples/custom-spawner.js"

const suite = CliProcessSuite.suite({
  command: fileURLToPath(new URL("../packages/testing/bin/fake-claude.mjs", import.meta.url))
})

describe("the spawner of the example, behind a wrapper and in an environment of its own", () => {
  for (const { name, run } of suite) it(name, () => Effect.runPromise(Effect.provide(run, layer)))
})
