// The same with Effect: a session is a value with a scope, a turn is a stream.
import * as Message from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { Console, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const session = yield* Session.make()
  yield* session.send("My name is Ada.").pipe(
    Stream.filter(Message.is("Text")),
    Stream.runForEach(({ content }) => Console.log(content))
  )
  // Apart from now on: what one is told the other does not know.
  const branch = yield* session.fork()
  const answers = yield* Effect.all(
    [Session.text(session, "What is my name?"), Session.text(branch, "What is 6 times 7?")],
    { concurrency: "unbounded" }
  )
  for (const answer of answers) yield* Console.log(answer)
  yield* Console.log(`${(yield* session.stats).turns} turns and ${(yield* branch.stats).turns}`)
}).pipe(
  Effect.catchTag("UsageLimitError", ({ limit }) => Console.error(`${limit} is used up`)),
  Effect.scoped,
  Effect.provide(NodeClaude.layer)
)

await Effect.runPromise(program)
