import { CliProcess, type RunningCli } from "@ccflow/core/CliProcess"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import * as CliProcessSuite from "@ccflow/testing/CliProcessSuite"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { fileURLToPath } from "node:url"
import { descriptors } from "./support.js"

const suite = CliProcessSuite.suite({
  command: fileURLToPath(new URL("../../testing/bin/fake-claude.mjs", import.meta.url)),
  held: Effect.sync(descriptors)
})

type Open = Context.Tag.Service<CliProcess>["open"]
/** The standard one, changed for the worse. */
const spoiled = (change: (open: Open) => Open) =>
  Layer.map(
    NodeCliProcess.layer,
    (context) => Context.make(CliProcess, { open: change(Context.get(context, CliProcess).open) })
  )
const running = (change: (cli: RunningCli) => Partial<RunningCli>) =>
  spoiled((open) => (invocation) => Effect.map(open(invocation), (cli) => ({ ...cli, ...change(cli) })))

/** What is wrong with a spawner, and the promises that it breaks. */
const spawners: Readonly<Record<string, readonly [Layer.Layer<CliProcess>, RegExp]>> = {
  "leaves the process to itself": [
    Layer.scoped(
      CliProcess,
      Effect.map(
        Effect.all([CliProcess, Effect.scope]),
        ([{ open }, scope]) => ({ open: (invocation) => Scope.extend(open(invocation), scope) })
      )
    ).pipe(Layer.provide(NodeCliProcess.layer)),
    /^closing the scope ends one that (leaves|is deaf)|^holds nothing/
  ],
  "hands the arguments to a shell": [
    spoiled((open) => (invocation) =>
      open({
        ...invocation,
        command: "sh",
        args: ["-c", `exec ${invocation.command} ${invocation.args.map((arg) => `"${arg}"`).join(" ")}`]
      })
    ),
    /^starts it with the arguments/
  ],
  "adds to the environment": [
    spoiled((open) => (invocation) => open({ ...invocation, env: { HOME: "/", CCFLOW_OTHER: "", ...invocation.env } })),
    /^starts it with the variables/
  ],
  "puts secrets into arguments": [
    spoiled((open) => ({ files, ...invocation }) =>
      open({
        ...invocation,
        files: [],
        args: [...invocation.args, ...files.map((one) => `${one.flag}=${one.content}`)]
      })
    ),
    /^shows neither prompts/
  ],
  "forgets the folder": [
    spoiled((open) => ({ cwd: _, ...invocation }) => open(invocation)),
    /^starts it in the folder|^says why/
  ],
  "loses what is said last": [
    running(({ stdout }) => ({ stdout: Effect.map(stdout, (chunks) => chunks.slice(0, -1)) })),
    /^gives (the output whole|all that came)/
  ],
  "forgets stderr": [running(() => ({ stderrTail: Effect.succeed("") })), /^drains stderr|^lets it wait/],
  "does not wait for a write": [
    running(({ send }) => ({ send: (text) => Effect.as(Effect.forkDaemon(send(text)), true) })),
    /^waits with a write|^writes the input|^says that a write/
  ]
}

describe("the suite of those that start CLIs finds one that", () => {
  for (const [name, [layer, breaks]] of Object.entries(spawners)) {
    it.live(name, () =>
      Effect.gen(function*() {
        const looked = suite.filter((promised) => breaks.test(promised.name))
        assert.isNotEmpty(looked)
        for (const { name, run } of looked) {
          const exit = yield* Effect.exit(Effect.provide(run, layer))
          assert.isTrue(Exit.isFailure(exit), `it is not found by: ${name}`)
        }
      }), 60_000)
  }
})
