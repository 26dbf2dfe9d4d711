import { Claude, Hooks, Permissions, Tools } from "@ccflow/core"
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Host from "../src/internal/host.js"

const permissions: Permissions.Handler = () => Effect.succeed(Permissions.allow())
const hook = Hooks.on("Stop", () => Effect.succeed(Hooks.proceed))
const tools = Tools.toolSet("calc", [
  Tools.tool({ name: "add", description: "", input: Schema.Struct({}), handler: () => Effect.void })
])

/** How the CLI was started, and what it was told before the prompt. */
const started = (options: Claude.ClaudeOptions) =>
  Effect.gen(function*() {
    yield* Claude.text("x", options)
    const [cli] = yield* (yield* FakeCli.FakeCli).started
    return {
      args: cli!.invocation.args,
      sent: cli!.sent.filter(({ type }) => type !== "control_response").map(({ type }) => type)
    }
  }).pipe(Effect.provide(FakeClaude.layer([FakeCli.answer("done")])))

describe("a program that decides nothing", () => {
  it.effect("has the CLI started as if there were nothing to decide", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* Host.resolve({}, {}), Host.none)
      assert.strictEqual(yield* Host.resolve({ hooks: [], toolSets: [] }, {}), Host.none)
      const plain = yield* started({})
      assert.deepStrictEqual(plain.sent, ["user"])
      assert.notInclude(plain.args.join(), "permission-prompt-tool")
      assert.deepStrictEqual(yield* started({ hooks: [], permissions: undefined, toolSets: [] }), plain)
    }))
})

describe("what a program decides", () => {
  it.effect("reaches the CLI by as little as it needs", () =>
    Effect.gen(function*() {
      const asked = yield* started({ permissions })
      assert.include(asked.args, "--permission-prompt-tool=stdio")
      assert.deepStrictEqual(asked.sent, ["user"])
      const hooked = yield* started({ hooks: [hook] })
      assert.notInclude(hooked.args.join(), "permission-prompt-tool")
      assert.deepStrictEqual(hooked.sent, ["control_request", "user"])
      const all = yield* Host.resolve({ permissions, hooks: [hook], toolSets: [tools] }, {})
      assert.hasAllKeys(all.initialize, ["hooks", "sdkMcpServers"])
      assert.hasAllKeys(all.handlers, ["can_use_tool", "hook_callback", "mcp_message"])
    }))

  const refused = (options: QueryOptions, given: Host.HostOptions = { permissions }) =>
    Effect.flip(Host.resolve(given, options))

  it.effect("is refused where an option would take the decision away", () =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [QueryOptions, string]> = [
        [{ permissionPromptTool: "mcp__a__b" }, "permissionPromptTool"],
        [{ extraArgs: { "permission-prompt-tool": "x" } }, "permissionPromptTool"],
        [{ permissionPrompts: "none" }, "permissionPrompts"],
        [{ permissionMode: "bypassPermissions" }, "permissionMode"],
        [{ permissionMode: "dontAsk" }, "permissionMode"],
        [{ dangerouslySkipPermissions: true }, "dangerouslySkipPermissions"]
      ]
      for (const [options, field] of cases) {
        const error = yield* refused(options)
        assert.deepInclude({ ...error }, { _tag: "InvalidOptionsError", field })
        assert.strictEqual(yield* Host.resolve({}, options), Host.none)
      }
      for (const permissionMode of ["default", "plan", "acceptEdits", "manual", "auto"] as const) {
        yield* Host.resolve({ permissions }, { permissionMode, permissionPrompts: "host", allowedTools: ["Read"] })
      }
      const error = yield* Effect.flip(Claude.text("x", { permissions, permissionMode: "dontAsk" }))
      assert.strictEqual(error._tag, "InvalidOptionsError")
    }).pipe(Effect.provide(FakeClaude.layer([]))))

  it.effect("is refused where a hook cannot be what it says", () =>
    Effect.gen(function*() {
      const registered = (options: Hooks.HookOptions) => ({
        hooks: [Hooks.on("PreToolUse", options, () => Effect.succeed(Hooks.proceed))]
      })
      assert.strictEqual((yield* refused({}, registered({ matcher: "Bash(" }))).field, "hooks.PreToolUse.matcher")
      assert.strictEqual((yield* refused({}, registered({ timeout: 0 }))).field, "hooks.PreToolUse.timeout")
    }))
})
