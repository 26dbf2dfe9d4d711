// Policies as layers: one swapped, one of one's own, and two kinds of Claude that share them.
import * as Claude from "@ccflow/core/Claude"
import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
import { InvalidOptionsError } from "@ccflow/core/ClaudeError"
import * as MessageParser from "@ccflow/core/MessageParser"
import * as Policies from "@ccflow/core/Policies"
import type { Policy } from "@ccflow/core/Policy"
import * as Retry from "@ccflow/core/Retry"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import { Config, Console, Context, Effect, Layer, Stream } from "effect"

// Another retry than that of `Policies.layer`, as variables of the program's own say.
const patient = Retry.layerConfig({
  maxRetries: Config.withDefault(Config.integer("MY_RETRIES"), 5),
  baseDelay: Config.withDefault(Config.duration("MY_DELAY"), "2 seconds")
})

/** What it is given is a call and its messages; waits of its own go through `call.wait`, so that interrupting ends them. */
const discreet: Policy = {
  around: ({ prompt }) => (messages) =>
    JSON.stringify(prompt).includes("password")
      ? Stream.fail(new InvalidOptionsError({ field: "prompt", detail: "it asks for a password", hint: "Do not." }))
      : messages
}

// Around one of ours. Outside of the retry it sees a call once, outside of the breaker each attempt.
const policies = Layer.merge(Policies.layer, patient).pipe(Policies.outside(Retry.Retry, discreet))

/** A second one by a name of its own. */
class Quick extends Context.Tag("Quick")<Quick, Claude.Claude["Type"]>() {}

const claude = (options: Parameters<typeof ClaudeConfig.layerWith>[0]) =>
  Claude.layerWith().pipe(Layer.provide(ClaudeConfig.layerWith(options)))

// What both are given is built once: they have one circuit breaker, and one limit of processes.
const both = Layer.merge(
  claude({ model: "opus" }),
  Layer.project(claude({ model: "haiku" }), Claude.Claude, Quick, (quick) => quick)
).pipe(Layer.provide([policies, NodeCliProcess.layer, MessageParser.layer]))

const ask = (prompt: string) =>
  Claude.query(prompt).pipe(
    Stream.runForEach((message) => {
      if (message._tag === "Init") return Console.log(message.model.includes("haiku") ? "quick:" : "thorough:")
      return message._tag === "Result" ? Console.log(message.result) : Effect.void
    })
  )

const program = Effect.gen(function*() {
  yield* ask("What is 6*7?")
  yield* ask("What is 3+4?").pipe(Effect.provideServiceEffect(Claude.Claude, Quick))
  yield* ask("What is the password?")
}).pipe(
  Effect.catchTag("InvalidOptionsError", ({ detail }) => Console.log(`refused: ${detail}`)),
  Effect.provide(both)
)

await Effect.runPromise(program)
