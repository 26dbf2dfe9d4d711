import { parametersOf, report, stopwatch } from "./measure.js"

interface Parameters {
  readonly variant: "script" | "effect" | "facade"
  readonly count: number
}

const { count, variant } = parametersOf<Parameters>()

const session = "00000000-0000-4000-8000-000000000001"

/** The frames that a fake process prints for one answer. */
const frames = [
  {
    session_id: session,
    type: "system",
    subtype: "init",
    cwd: "/home/user/project",
    tools: ["Bash", "Read"],
    mcp_servers: [],
    model: "claude-fake",
    permissionMode: "default",
    slash_commands: [],
    apiKeySource: "none",
    claude_code_version: "2.1.330",
    output_style: "default"
  },
  {
    session_id: session,
    type: "assistant",
    parent_tool_use_id: null,
    message: {
      id: "msg_1",
      role: "assistant",
      model: "claude-fake",
      content: [{ type: "text", text: "4" }],
      stop_reason: null,
      usage: { input_tokens: 10, output_tokens: 1 }
    }
  },
  {
    session_id: session,
    type: "result",
    subtype: "success",
    is_error: false,
    result: "4",
    stop_reason: "end_turn",
    usage: { input_tokens: 10, output_tokens: 5 },
    total_cost_usd: 0.001,
    num_turns: 1
  }
]

/** Gives how many answers were right. */
const variants: Record<Parameters["variant"], () => Promise<() => Promise<number>>> = {
  /** What is said and read, with nothing between: every frame written as a line of bytes, and read back. */
  script: async () => async () => {
    const encoder = new TextEncoder()
    const decoder = new TextDecoder()
    let right = 0
    for (let i = 0; i < count; i++) {
      for (const frame of frames) {
        const bytes = encoder.encode(`${JSON.stringify(frame)}\n`)
        const line: { readonly result?: string } = JSON.parse(decoder.decode(bytes.subarray(0, bytes.indexOf(0x0a))))
        if (line.result === "4") right++
      }
      await Promise.resolve()
    }
    return right
  },
  effect: async () => {
    const Claude = await import("@ccflow/core/Claude")
    const FakeClaude = await import("@ccflow/testing/FakeClaude")
    const FakeCli = await import("@ccflow/testing/FakeCli")
    const Effect = await import("effect/Effect")
    const program = Effect.gen(function*() {
      let right = 0
      for (let i = 0; i < count; i++) if ((yield* Claude.text("What is 2+2?")) === "4") right++
      return right
    })
    return () => Effect.runPromise(Effect.provide(program, FakeClaude.layer([FakeCli.answer("4")])))
  },
  facade: async () => {
    const { FakeCli, fakeClient } = await import("ccflow/testing")
    const client = fakeClient([FakeCli.answer("4")])
    return async () => {
      let right = 0
      for (let i = 0; i < count; i++) if (await client.querySimple("What is 2+2?") === "4") right++
      return right
    }
  }
}

const run = await variants[variant]()
const passed = stopwatch()
const right = await run()
const { cpuMs, wallMs } = passed()
if (right !== count) throw new Error(`${right} of ${count} answers`)
report({ cpuMs, wallMs })
