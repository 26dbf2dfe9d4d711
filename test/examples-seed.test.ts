import { echoBrain } from "./support/EchoBrain.js"
import { describeExamples } from "./support/examples.js"
import { type MessagesRequest, modelNotFound, status, text, toolUse } from "./support/MessagesApi.js"

const nice = "Nice to meet you, Ada. I am a stand-in without a model, yet I will remember that."

/** The whole first run of the CLI, with all its own requests. */
let unlucky: unknown
const overloadedFor = ({ headers }: MessagesRequest): boolean => {
  const session = headers["x-claude-code-session-id"]
  unlucky ??= session
  return session === unlucky
}

describeExamples("examples/seed", {
  "query-simple.ts": { says: echoBrain, prints: ["2+2 is 4."] },
  "streaming.ts": { says: echoBrain, prints: ["6*7 is 42."] },
  "multi-turn.ts": {
    says: echoBrain,
    prints: [nice, "Your name is Ada.", "Your name is Ada.", "2 turns, tokens counted"]
  },
  "batch.ts": { says: echoBrain, prints: ["0: 1+1 is 2.", "1: 2*3 is 6.", "2: failed with InvalidOptionsError"] },
  "options.ts": {
    says: ({ body, system }) => {
      const { max_tokens: limit } = body as { readonly max_tokens: number }
      const [, name] = /^ +1,(\w+),.*,true$/m.exec(system) ?? []
      return text(`${name} is on call (${limit}).`)
    },
    prints: [/^default: .*Read/, "Grace is on call (4096).", /^as toon, \d+ tokens saved$/]
  },
  "environment.ts": {
    says: echoBrain,
    prints: [/haiku/, /opus/, /^CCFLOW_DEFAULT_TIMEOUT: it must be a number of seconds/]
  },
  "message-types.ts": {
    says: [toolUse("Bash", { command: "echo Friday", description: "It" }), text("It is Friday.")],
    prints: [
      "starts with 1 tool",
      /^uses Bash: \{"command":"echo Friday"/,
      "Bash gave Friday",
      "says It is Friday.",
      "stops: end_turn",
      "has taken 2 turns"
    ]
  },
  "rate-limiting.ts": {
    says: echoBrain,
    prints: [
      "1+1 is 2. 2+2 is 4. 3+3 is 6.",
      "0 under way",
      "call 1 may go",
      "call 2 may go",
      "call 3: 2 requests in any 1m",
      "no limit is set"
    ]
  },
  "circuit-breaker.ts": {
    says: echoBrain,
    prints: [
      "Error: no database",
      "Error: no database",
      "refused, it is open",
      "half_open: found, closed",
      "queries: closed"
    ]
  },
  "retry.ts": {
    says: (request) => overloadedFor(request) ? status(529) : echoBrain(request),
    logs: /^.* level=WARN .*"trying again".*\n$/,
    prints: ["it worked at call 3", "given up after 2: Error: never", "2+2 is 4. (run 2)"]
  },
  "cost.ts": { says: echoBrain, prints: ["$0.0105", "nobody knows what gpt costs", "true 1"] },
  "events.ts": {
    says: [
      toolUse("Bash", { command: "echo Friday", description: "It" }),
      text("It is Friday."),
      text("You are welcome."),
      text("4")
    ],
    prints: [
      ...["uses Bash", "has used tokens", "costs money", "turn 1: success"],
      ...["has used tokens", "costs money", "turn 2: success"],
      ...["has used tokens", "costs money"],
      "true true"
    ]
  },
  "storage.ts": {
    says: echoBrain,
    prints: ["My name is Ada.: 1 turn, closed", "Your name is Ada.", "true", "0 left", "0 in memory"]
  },
  "errors.ts": {
    says: (request) => request.model === "no-such-model" ? modelNotFound("no-such-model") : echoBrain(request),
    logs: /^.* level=WARN .*"time is up".*\n$/,
    prints: ["there is no CLI true", /^too late: /, /^the CLI says /, /^ModelNotFoundError: /, "AbortError"]
  }
})
