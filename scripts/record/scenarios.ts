import { isRecord } from "effect/Predicate"
import {
  blocks,
  cut,
  errorMid,
  modelNotFound,
  promptTooLong,
  rateLimited,
  refusal,
  status,
  subscriptionHeaders,
  text,
  thinking,
  toolBlock,
  toolUse,
  usageLimited
} from "../../test/support/MessagesApi.js"
import type { Reply } from "../../test/support/MessagesApi.js"
import type { Conversation, Frame, Scenario } from "./drive.js"

const partials = ["--include-partial-messages"]
const oneRetry = { CLAUDE_CODE_MAX_RETRIES: "1" }
const answer = "2+2 is 4."
const personSchema =
  `{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name"]}`

const bash = (command: string, extra: object = {}) => toolBlock("Bash", { command, description: "Run it", ...extra })

/** Within the CLI's idea of a five hour window; a reset further away is not believed. */
const resetsAt = (): number => Math.ceil(Date.now() / 3_600_000 + 2) * 3_600

const failing = (name: string, description: string, reply: () => Reply, rest: Partial<Scenario> = {}): Scenario => ({
  name,
  description,
  script: () => [reply()],
  env: oneRetry,
  ...rest
})

const isDelta = (frame: Frame): boolean => {
  const event = frame.event
  return typeof event === "object" && event !== null && "type" in event && event.type === "content_block_delta"
}

const interruptAtDelta = (count: number) => () => {
  let seen = 0
  return (frame: Frame, conversation: Conversation): void => {
    if (isDelta(frame) && (seen += 1) === count) {
      conversation.send({ type: "control_request", request_id: "req_interrupt", request: { subtype: "interrupt" } })
    }
  }
}

const reply = (conversation: Conversation, frame: Frame, response: object): void =>
  conversation.send({
    type: "control_response",
    response: { subtype: "success", request_id: frame.request_id, response }
  })

/** A server of one tool that adds, and hooks that let everything pass. */
const adder = () => (frame: Frame, conversation: Conversation): void => {
  if (frame.type === "result") {
    const request = { subtype: "set_permission_mode", mode: "acceptEdits" }
    return conversation.send({ type: "control_request", request_id: "req_mode", request })
  }
  if (frame.type === "control_response" && JSON.stringify(frame).includes("req_mode")) return conversation.end()
  if (frame.type !== "control_request") return
  const { request } = frame
  const message = isRecord(request) ? request["message"] : undefined
  if (!isRecord(message)) return reply(conversation, frame, {})
  const result = adderSays[String(message["method"])] ?? {}
  reply(conversation, frame, { mcp_response: { jsonrpc: "2.0", id: message["id"] ?? 0, result } })
}

const numbers = { type: "object", properties: { a: { type: "number" }, b: { type: "number" } }, required: ["a", "b"] }

const adderSays: Readonly<Record<string, object>> = {
  initialize: {
    protocolVersion: "2025-06-18",
    capabilities: { tools: {} },
    serverInfo: { name: "calc", version: "1.0.0" }
  },
  "tools/list": { tools: [{ name: "add", description: "Adds", inputSchema: numbers }] },
  "tools/call": { content: [{ type: "text", text: "5" }] }
}

const hooks = Object.fromEntries(
  ["UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure", "SubagentStart", "SubagentStop", "Stop"].map(
    (event) => [event, [{ matcher: null, hookCallbackIds: [`hook_${event}`] }]]
  )
)

const answerPermission = (response: object) => () => (frame: Frame, conversation: Conversation): void => {
  if (frame.type === "control_request") reply(conversation, frame, response)
}

const nextPrompts = (prompts: ReadonlyArray<string>) => () => {
  let turn = 0
  return (frame: Frame, conversation: Conversation): void => {
    const prompt = frame.type === "result" ? prompts[turn] : undefined
    if (prompt === undefined) return
    turn += 1
    conversation.prompt(turn + 1, prompt)
  }
}

const plain: ReadonlyArray<Scenario> = [
  { name: "text", description: "a plain answer", script: () => [text(answer)] },
  {
    name: "text-partial",
    description: "a plain answer in deltas",
    script: () => [text(answer, { chunkSize: 3 })],
    args: partials
  },
  {
    name: "thinking-partial",
    description: "thinking, then text, in deltas",
    script: () => [thinking("Two and two make four.", answer)],
    args: partials
  },
  {
    name: "two-turns",
    description: "two turns in one process",
    script: () => [text("Hello Ada."), text("Your name is Ada.")],
    prompt: "My name is Ada",
    results: 2,
    react: nextPrompts(["What is my name?"])
  }
]

const tools: ReadonlyArray<Scenario> = [
  {
    name: "tool",
    description: "one Bash call that is allowed",
    script: () => [blocks(["Running it.", bash("echo hello")]), text("It said hello.")],
    args: ["--allowedTools=Bash"]
  },
  {
    name: "tool-partial",
    description: "one Bash call that is allowed, in deltas",
    script: () => [blocks(["Running it.", bash("echo hello")]), text("It said hello.")],
    args: [...partials, "--allowedTools=Bash"]
  },
  {
    name: "tools-parallel",
    description: "three calls in one reply; one of them fails",
    script: () => [
      blocks([
        bash("sleep 0.3; echo slow"),
        toolBlock("Read", { file_path: "notes.txt" }),
        bash("echo oops >&2; exit 3")
      ]),
      text("Done.")
    ],
    files: { "notes.txt": "first line\nsecond line\n" },
    args: ["--allowedTools=Bash,Read"]
  },
  {
    name: "tool-denied",
    description: "a call that nobody allows",
    script: () => [toolUse("Bash", { command: "touch made.txt", description: "Make a file" }), text("I may not.")]
  },
  {
    name: "permission-allow",
    description: "the host allows the call",
    script: () => [toolUse("Bash", { command: "touch made.txt", description: "Make a file" }), text("Made.")],
    args: ["--permission-prompt-tool=stdio"],
    react: answerPermission({
      behavior: "allow",
      updatedInput: { command: "touch made.txt", description: "Make a file" }
    })
  },
  {
    name: "permission-deny",
    description: "the host denies the call",
    script: () => [toolUse("Bash", { command: "touch made.txt", description: "Make a file" }), text("I may not.")],
    args: ["--permission-prompt-tool=stdio"],
    react: answerPermission({ behavior: "deny", message: "Not today" })
  },
  {
    name: "subagent",
    description: "a foreground subagent that calls a tool",
    script: () => {
      const replies = {
        main: [
          blocks([
            "Delegating.",
            toolBlock("Agent", {
              description: "Do it",
              prompt: "Please help",
              subagent_type: "helper",
              run_in_background: false
            })
          ]),
          text("The helper is done.")
        ],
        helper: [blocks([bash("echo from-helper")]), text("Helper's report.")]
      }
      return (request) =>
        (request.system.includes("You are HELPER") ? replies.helper : replies.main).shift() ?? text("No more.")
    },
    args: [
      `--agents={"helper":{"description":"Helps","prompt":"You are HELPER","tools":["Bash"]}}`,
      "--allowedTools=Bash,Agent,Task"
    ]
  },
  {
    name: "background-bash",
    description: "a background Bash whose end starts a turn of its own",
    script: () => [
      blocks([bash("for i in 1 2 3; do sleep 0.5; done; echo finished", { run_in_background: true })]),
      text("Started."),
      text("It has finished.")
    ],
    args: ["--allowedTools=Bash"],
    results: 2
  },
  {
    name: "json-schema",
    description: "structured output that the model gives",
    script: () => [toolUse("StructuredOutput", { name: "Ada", age: 36 }), text("Done.")],
    args: [`--json-schema=${personSchema}`]
  },
  {
    name: "json-schema-never",
    description: "structured output that the model never gives",
    script: () => [text("Ada, 36")],
    args: [`--json-schema=${personSchema}`]
  },
  {
    name: "max-turns",
    description: "the turn limit stops the run",
    script: () => [blocks([bash("echo hello")])],
    args: ["--max-turns=1", "--allowedTools=Bash"]
  },
  {
    name: "max-budget",
    description: "the money limit stops the run",
    script: () => [blocks([bash("echo hello")], { usage: { output_tokens: 5_000 } })],
    args: ["--max-budget-usd=0.05", "--allowedTools=Bash"]
  }
]

const hosted: ReadonlyArray<Scenario> = [
  {
    name: "host",
    description: "hooks and a tool of the host's, and a change of the permission mode",
    script: () => [blocks([toolBlock("mcp__calc__add", { a: 2, b: 3 }), bash("exit 1")]), text("5")],
    initialize: { hooks, sdkMcpServers: ["calc"] },
    args: ["--allowedTools=mcp__calc__add,Bash"],
    results: 2,
    react: adder
  },
  {
    name: "hook-events",
    description: "a hook of the settings, and what is told of it",
    script: () => [blocks([bash("echo hello")]), text("It said hello.")],
    args: [
      `--settings={"hooks":{"PreToolUse":[{"matcher":"Bash","hooks":[{"type":"command","command":"echo seen"}]}]}}`,
      "--include-hook-events",
      "--allowedTools=Bash"
    ]
  },
  {
    name: "session-states",
    description: "the states of a session, and a message that waits for its turn",
    script: () => [blocks([bash("sleep 0.5")]), text("First."), text("Second.")],
    args: ["--replay-user-messages", "--allowedTools=Bash"],
    env: { CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS: "1" },
    react: () => {
      let queued = false
      return (frame, conversation) => {
        if (frame.type === "assistant" && !queued) {
          queued = true
          conversation.prompt(2, "And then?")
        }
      }
    }
  },
  {
    name: "compact-clear",
    description: "a conversation that is compacted, then cleared",
    script: () => [text("One."), text("Two."), text("They counted."), text("Three.")],
    prompt: "one",
    results: 5,
    react: nextPrompts(["two", "/compact", "/clear", "three"])
  },
  {
    name: "model-fallback",
    description: "the model is overloaded, another one answers",
    script: () => ({ model }) => model.includes("opus") ? status(529) : text(answer),
    args: ["--model=opus", "--fallback-model=sonnet"]
  }
]

const broken: ReadonlyArray<Scenario> = [
  {
    name: "cut-partial",
    description: "the connection breaks in the middle of the text, the second attempt answers",
    script: () => [cut({ content: "The first attempt is lost", afterChars: 24 }), text("The second attempt answers.")],
    args: partials,
    env: oneRetry
  },
  {
    name: "cut-after-tool-partial",
    description: "the connection breaks after a whole tool call",
    script: () => [cut({ content: ["Running it.", bash("echo hello")] }), text("It said hello.")],
    args: [...partials, "--allowedTools=Bash"],
    env: oneRetry
  },
  failing("cut-always-partial", "the connection breaks on every attempt", () => cut({ afterChars: 24 }), {
    args: partials
  }),
  {
    name: "error-mid-partial",
    description: "an error event in the middle of the text, the second attempt answers",
    script:
      () => [errorMid({ content: "The first attempt is lost", afterChars: 24 }), text("The second attempt answers.")],
    args: partials,
    env: oneRetry
  },
  {
    name: "interrupt-partial",
    description: "the host interrupts in the middle of the text",
    script: () => [text("one two three four five six seven eight nine ten", { chunkSize: 4, delayMs: 60 })],
    args: partials,
    react: interruptAtDelta(3)
  }
]

const errors: ReadonlyArray<Scenario> = [
  failing("api-400-prompt-too-long", "the prompt does not fit", () => promptTooLong()),
  failing("api-401", "the key is refused", () => status(401)),
  failing("api-401-oauth", "the login is refused", () => status(401, { message: "Invalid bearer token" }), {
    credentials: "oauth"
  }),
  failing("api-403", "the key has no permission", () => status(403)),
  failing("api-404", "the model does not exist", () => modelNotFound("claude-none"), { args: ["--model=claude-none"] }),
  failing("api-413", "the request is too large", () => status(413)),
  failing("api-429-key", "the rate limit of a key", () => rateLimited({ retryAfterSeconds: 1 })),
  failing(
    "api-429-subscription",
    "the subscription's five hours are used up",
    () => usageLimited({ resetsAt: resetsAt() }),
    {
      credentials: "oauth"
    }
  ),
  {
    name: "subscription-warning",
    description: "an answer, and the subscription's five hours nearly used up",
    script: () => [text(answer, {
      headers: subscriptionHeaders({
        fiveHour: { status: "allowed_warning", utilization: 0.93, resetsAt: resetsAt() },
        sevenDay: { status: "allowed", utilization: 0.2, resetsAt: resetsAt() + 86_400 }
      })
    })],
    credentials: "oauth"
  },
  failing("api-500", "the API fails", () => status(500)),
  failing("api-529", "the API is overloaded", () => status(529)),
  failing("connection-refused", "nobody listens at the API's address", () => text(""), { apiDown: true }),
  { name: "refusal", description: "the model declines", script: () => [refusal()] },
  {
    name: "resume-unknown",
    description: "a session that does not exist",
    script: () => [text(answer)],
    args: ["--resume=99999999-2222-4333-8444-555555555555"]
  },
  {
    name: "bad-flag",
    description: "a flag that does not exist",
    script: () => [text(answer)],
    args: ["--no-such-flag"]
  },
  { name: "not-logged-in", description: "no credentials at all", script: () => [text(answer)], credentials: "none" }
]

export const scenarios: ReadonlyArray<Scenario> = [...plain, ...tools, ...hosted, ...broken, ...errors]
