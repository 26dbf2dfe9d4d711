import { Claude, type HookInput, Hooks } from "@ccflow/core"
import type { HookEvent } from "@ccflow/core/HookInput"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, TestClock } from "effect"

type Fields = Readonly<Record<string, unknown>>

const base = { session_id: "s", transcript_path: "/t", cwd: "/w", permission_mode: "default" }
const bash = { tool_name: "Bash", tool_input: { command: "ls" }, tool_use_id: "toolu_1" }

/** The frames with which the hooks of a query were registered and answered. */
const run = (
  hooks: ReadonlyArray<Hooks.Registration>,
  calls: ReadonlyArray<readonly [callback: string, input: Fields]>
) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.either(Claude.result("x", { hooks })))
    yield* TestClock.adjust("30 minutes")
    yield* Fiber.join(fiber)
    const fake = yield* FakeCli.FakeCli
    const sent = (yield* fake.started).flatMap(({ sent }) => sent)
    const initialize = sent[0]?.["request"] as { readonly hooks: Readonly<Record<string, ReadonlyArray<Fields>>> }
    const answers = sent
      .filter(({ type }) => type === "control_response")
      .map(({ response }) =>
        response as { readonly request_id: string; readonly subtype: string; readonly response: Fields }
      )
    return {
      registered: initialize.hooks,
      answers: calls.map((_, index) => answers.find((answer) => answer.request_id === `r${index}`))
    }
  }).pipe(Effect.provide(FakeClaude.layer([[
    FakeCli.init(),
    ...calls.map(([callback_id, input], index) =>
      FakeCli.emit({
        type: "control_request",
        request_id: `r${index}`,
        request: { subtype: "hook_callback", callback_id, input, tool_use_id: "t" }
      })
    ),
    FakeCli.delay("20 minutes"),
    ...FakeCli.answer("done").slice(1)
  ]])))

/** What is answered to one call of one hook. */
const answerOf = (hook: Hooks.Registration, input: Fields = {}) =>
  Effect.map(
    run([hook], [["hook_0", { ...base, hook_event_name: hook.event, ...input }]]),
    ({ answers }) => {
      assert.strictEqual(answers[0]?.subtype, "success")
      return answers[0]?.response
    }
  )

const specific = (event: HookEvent, fields: Fields) => ({ hookSpecificOutput: { hookEventName: event, ...fields } })

describe("a hook", () => {
  it.effect("is registered with its matcher, and a deadline of the CLI that is later than its own", () =>
    Effect.gen(function*() {
      const nothing = () => Effect.succeed(Hooks.proceed)
      const { registered } = yield* run([
        Hooks.on("PreToolUse", { matcher: "Bash|Write", timeout: "1500 millis" }, nothing),
        Hooks.on("PreToolUse", nothing),
        Hooks.on("Stop", nothing)
      ], [])
      assert.deepStrictEqual(registered, {
        PreToolUse: [
          { matcher: "Bash|Write", hookCallbackIds: ["hook_0"], timeout: 17, onFailure: "block" },
          { hookCallbackIds: ["hook_1"], timeout: 75, onFailure: "block" }
        ],
        Stop: [{ hookCallbackIds: ["hook_2"], timeout: 75 }]
      })
    }))

  it.effect("gets its event's input by typed names, and everything as it came", () =>
    Effect.gen(function*() {
      const seen = yield* Deferred.make<HookInput.HookInput<"PreToolUse">>()
      const raw = { ...base, ...bash, hook_event_name: "PreToolUse", agent_id: null, brand_new: { some_field: 1 } }
      yield* answerOf(Hooks.on("PreToolUse", (input) => Effect.as(Deferred.succeed(seen, input), Hooks.proceed)), raw)
      const input = yield* Deferred.await(seen)
      assert.deepInclude(input, {
        sessionId: "s",
        cwd: "/w",
        permissionMode: "default",
        toolName: "Bash",
        toolInput: { command: "ls" },
        toolUseId: "toolu_1"
      })
      assert.notProperty(input, "agentId")
      assert.deepStrictEqual(input.raw, raw)
    }))

  it.effect("is called by its own id among many, and an id of nobody is refused", () =>
    Effect.gen(function*() {
      const named = (name: string) => Hooks.on("PreToolUse", () => Effect.succeed(Hooks.deny(name)))
      const { answers } = yield* run([named("a"), named("b")], [
        ["hook_1", { ...base, ...bash }],
        ["hook_0", { ...base, ...bash }],
        ["hook_7", { ...base, ...bash }]
      ])
      const reasons = answers.map((answer) =>
        (answer?.response?.["hookSpecificOutput"] as Fields | undefined)?.["permissionDecisionReason"]
      )
      assert.deepStrictEqual(reasons, ["b", "a", undefined])
      assert.strictEqual(answers[2]?.subtype, "error")
    }))

  it.effect("says to the CLI what its answers mean at its event", () =>
    Effect.gen(function*() {
      const prompt = { prompt: "hi" }
      const asked = { ...bash }
      const cases: ReadonlyArray<readonly [Hooks.Registration, Fields, Fields]> = [
        [Hooks.on("PreToolUse", () => Effect.succeed(Hooks.proceed)), bash, {}],
        [
          Hooks.on("PreToolUse", () => Effect.succeed(Hooks.allow("fine"))),
          bash,
          specific("PreToolUse", { permissionDecision: "allow", permissionDecisionReason: "fine" })
        ],
        [
          Hooks.on("PreToolUse", () => Effect.succeed(Hooks.ask())),
          bash,
          specific("PreToolUse", { permissionDecision: "ask" })
        ],
        [
          Hooks.on("PreToolUse", () => Effect.succeed(Hooks.block("no"))),
          bash,
          specific("PreToolUse", { permissionDecision: "deny", permissionDecisionReason: "no" })
        ],
        [
          Hooks.on("PreToolUse", () =>
            Effect.succeed(Hooks.combine(
              Hooks.changeInput({ command: "pwd" }),
              Hooks.addContext("one"),
              Hooks.addContext("two"),
              Hooks.fields({ suppressOutput: true })
            ))),
          bash,
          {
            suppressOutput: true,
            ...specific("PreToolUse", { updatedInput: { command: "pwd" }, additionalContext: "one\n\ntwo" })
          }
        ],
        [
          Hooks.on("PermissionRequest", () => Effect.succeed(Hooks.changeInput({ command: "pwd" }))),
          asked,
          specific("PermissionRequest", { decision: { behavior: "allow", updatedInput: { command: "pwd" } } })
        ],
        [
          Hooks.on("PermissionRequest", () => Effect.succeed(Hooks.deny("no"))),
          asked,
          specific("PermissionRequest", { decision: { behavior: "deny", message: "no" } })
        ],
        [
          Hooks.on("UserPromptSubmit", () => Effect.succeed(Hooks.block("not this"))),
          prompt,
          { decision: "block", reason: "not this" }
        ],
        [
          Hooks.on("UserPromptSubmit", () => Effect.succeed(Hooks.addContext("it rains"))),
          prompt,
          specific("UserPromptSubmit", { additionalContext: "it rains" })
        ],
        [
          Hooks.on("PostToolUse", () => Effect.succeed(Hooks.changeResult("other"))),
          { ...bash, tool_name: "mcp__a__b", tool_response: [] },
          specific("PostToolUse", {
            updatedToolOutput: [{ type: "text", text: "other" }],
            updatedMCPToolOutput: [{ type: "text", text: "other" }]
          })
        ],
        [
          Hooks.on("PostToolUse", () => Effect.succeed(Hooks.stop("enough"))),
          { ...bash, tool_response: {} },
          { continue: false, stopReason: "enough" }
        ]
      ]
      for (const [hook, input, answer] of cases) assert.deepStrictEqual(yield* answerOf(hook, input), answer)
    }), 30_000)

  it.effect("is interrupted when the CLI withdraws its call", () =>
    Effect.gen(function*() {
      const gone = yield* Deferred.make<void>()
      const hooks = [
        Hooks.on("PreToolUse", () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(gone, undefined)))
      ]
      const fiber = yield* Effect.fork(Claude.result("x", { hooks }))
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.await(gone)
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      FakeCli.emit({
        type: "control_request",
        request_id: "r",
        request: { subtype: "hook_callback", callback_id: "hook_0", input: { ...base, ...bash } }
      }),
      FakeCli.delay("1 second"),
      FakeCli.emit({ type: "control_cancel_request", request_id: "r" }),
      ...FakeCli.answer("done").slice(1)
    ]]))))
})

describe("a hook that fails", () => {
  const failing: ReadonlyArray<readonly [() => Effect.Effect<never, unknown>, string]> = [
    [() => Effect.fail({ message: "no database" }), "no database"],
    [() => Effect.die(new Error("a bug")), "a bug"],
    [() => {
      throw new Error("thrown")
    }, "thrown"],
    [() => Effect.interrupt, "interrupted"],
    [() => Effect.never, "longer than 1m"]
  ]
  const denied = (answer: Fields | undefined) => answer?.["hookSpecificOutput"] as Fields | undefined

  it.effect("keeps the tool from running, and says why", () =>
    Effect.gen(function*() {
      for (const [handler, reason] of failing) {
        const gate = denied(yield* answerOf(Hooks.on("PreToolUse", handler), bash))
        assert.strictEqual(gate?.["permissionDecision"], "deny")
        assert.include(String(gate?.["permissionDecisionReason"]), reason)
        const request = denied(yield* answerOf(Hooks.on("PermissionRequest", handler), bash))
        assert.strictEqual((request?.["decision"] as Fields)["behavior"], "deny")
      }
    }), 30_000)

  it.effect("lets it run where its registration says so", () =>
    Effect.gen(function*() {
      for (const [handler] of failing) {
        assert.deepStrictEqual(
          yield* answerOf(Hooks.on("PreToolUse", { onFailure: "continue" }, handler), bash),
          {}
        )
      }
    }), 30_000)

  it.effect("has failed, too, when the CLI's input is not what a gate can decide on", () =>
    Effect.gen(function*() {
      const gate = Hooks.on("PreToolUse", () => Effect.succeed(Hooks.allow()))
      const answer = denied(yield* answerOf(gate, { ...bash, tool_name: 7 }))
      assert.strictEqual(answer?.["permissionDecision"], "deny")
      assert.include(String(answer?.["permissionDecisionReason"]), "toolName")
    }))

  it.effect("has its own deadline: in time it decides, late it has failed", () =>
    Effect.gen(function*() {
      const after = (delay: string) =>
        Hooks.on("PreToolUse", { timeout: "10 seconds" }, () =>
          Effect.delay(Effect.succeed(Hooks.allow()), delay as "1 second"))
      assert.strictEqual(denied(yield* answerOf(after("9 seconds"), bash))?.["permissionDecision"], "allow")
      assert.strictEqual(denied(yield* answerOf(after("11 seconds"), bash))?.["permissionDecision"], "deny")
    }))

  it.effect(
    "elsewhere is left out, or refuses what there is to refuse, but never keeps a finished turn going",
    () =>
      Effect.gen(function*() {
        const boom = () => Effect.fail("boom")
        const block = { onFailure: "block" } as const
        assert.deepStrictEqual(yield* answerOf(Hooks.on("UserPromptSubmit", boom), { prompt: "x" }), {})
        assert.deepStrictEqual(yield* answerOf(Hooks.on("UserPromptSubmit", block, boom), { prompt: "x" }), {
          decision: "block",
          reason: "A UserPromptSubmit hook failed: boom"
        })
        assert.deepStrictEqual(yield* answerOf(Hooks.on("Stop", block, boom)), {
          continue: false,
          stopReason: "A Stop hook failed: boom"
        })
      }),
    30_000
  )
})

describe("the Hooks reference", () => {
  class Log extends Context.Tag("Log")<Log, { readonly note: (text: string) => Effect.Effect<void> }>() {}

  it.effect("adds its hooks to those of the call, with the services of its layer", () =>
    Effect.gen(function*() {
      const notes: Array<string> = []
      const ambient = Hooks.layer([
        Hooks.on("Stop", () => Effect.flatMap(Log, ({ note }) => Effect.as(note("stopped"), Hooks.proceed)))
      ]).pipe(Layer.provide(Layer.succeed(Log, { note: (text) => Effect.sync(() => notes.push(text)) })))
      const { registered } = yield* run(
        [Hooks.on("PreToolUse", () => Effect.succeed(Hooks.proceed))],
        [["hook_0", { ...base, hook_event_name: "Stop" }]]
      ).pipe(Effect.provide(ambient))
      assert.hasAllKeys(registered, ["Stop", "PreToolUse"])
      assert.deepStrictEqual(notes, ["stopped"])
    }))
})

describe("what a handler may answer", () => {
  it("is checked against its event by the types", () => {
    // @ts-expect-error a prompt is not a tool
    Hooks.on("UserPromptSubmit", () => Effect.succeed(Hooks.allow()))
    // @ts-expect-error nothing can be added to a compaction
    Hooks.on("PreCompact", () => Effect.succeed(Hooks.addContext("x")))
    // @ts-expect-error one of the two is not for this event
    Hooks.on("PostToolUse", () => Effect.succeed(Hooks.combine(Hooks.addContext("x"), Hooks.ask())))
    // @ts-expect-error there is no prompt before a tool
    Hooks.on("PreToolUse", (input) => Effect.as(Effect.log(input.prompt), Hooks.proceed))
    const fits = Hooks.on("PostToolUse", () => Effect.succeed(Hooks.combine(Hooks.addContext("x"), Hooks.stop("y"))))
    assert.strictEqual(fits.event, "PostToolUse")
  })
})
