import { Claude, Permissions } from "@ccflow/core"
import type { ClaudeOptions } from "@ccflow/core/Claude"
import { FakeClaude, FakeCli } from "@ccflow/testing"
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Either, FastCheck, Fiber, Layer, Stream, TestClock } from "effect"

const bash = { command: "touch x" }
const asking: FakeCli.Turn = [FakeCli.init(), FakeCli.askPermission("Bash", bash), ...FakeCli.answer("done").slice(1)]

/** What the program answered to the CLI's questions. */
const answers = Effect.gen(function*() {
  const fake = yield* FakeCli.FakeCli
  return (yield* fake.started).flatMap(({ sent }) => sent)
    .filter(({ type }) => type === "control_response")
    .map(({ response }) => response as { readonly subtype: string; readonly response: Record<string, unknown> })
    .map(({ response, subtype }): Readonly<Record<string, unknown>> => ({ ...response, subtype }))
})

/** What the CLI is told about a use of Bash when the program decides like this. */
const answerOf = (options: ClaudeOptions, turn: FakeCli.Turn = asking) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(Effect.either(Claude.result("x", options)))
    yield* TestClock.adjust("5 minutes")
    yield* Fiber.join(fiber)
    return (yield* answers)[0] ?? {}
  }).pipe(Effect.provide(FakeClaude.layer([turn])))

const request = (fields: Partial<Permissions.PermissionRequest>): Permissions.PermissionRequest => ({
  tool: "Bash",
  input: bash,
  toolUseId: "toolu_1",
  suggestions: [],
  requiresUserInteraction: false,
  raw: { subtype: "can_use_tool" },
  ...fields
})

describe("a permission handler", () => {
  it.effect("is asked with what the CLI says, in typed fields", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<Permissions.PermissionRequest>()
      yield* answerOf(
        { permissions: (told) => Effect.as(Deferred.succeed(asked, told), Permissions.allow()) },
        [
          FakeCli.init(),
          FakeCli.emit({
            type: "control_request",
            request_id: "r1",
            request: {
              subtype: "can_use_tool",
              tool_name: "Bash",
              input: bash,
              tool_use_id: "toolu_9",
              agent_id: "a1",
              permission_suggestions: [{ type: "setMode", mode: "acceptEdits", destination: "session" }],
              blocked_path: "/x",
              decision_reason: "outside",
              title: null,
              mcp_server: { name: "demo", source: "dynamic" },
              requires_user_interaction: true
            }
          }),
          FakeCli.delay("1 second"),
          ...FakeCli.answer("done").slice(1)
        ]
      )
      const { raw, ...told } = yield* Deferred.await(asked)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(told)), {
        tool: "Bash",
        input: bash,
        toolUseId: "toolu_9",
        agentId: "a1",
        suggestions: [{ type: "setMode", mode: "acceptEdits", destination: "session" }],
        blockedPath: "/x",
        reason: "outside",
        mcpServer: { name: "demo", source: "dynamic" },
        requiresUserInteraction: true
      })
      assert.strictEqual(raw["decision_reason"], "outside")
    }))

  it.effect("allows with the input that was asked for, or with another, and has rules remembered", () =>
    Effect.gen(function*() {
      const rules = [{ type: "addRules", rules: [{ toolName: "Bash" }], behavior: "allow", destination: "session" }]
      const plain = yield* answerOf({ permissions: () => Effect.succeed(Permissions.allow()) })
      assert.deepInclude(plain, { subtype: "success", behavior: "allow", updatedInput: bash })
      assert.match(String(plain["toolUseID"]), /^toolu/)
      const other = { command: "ls" }
      const changed = yield* answerOf({ permissions: () => Effect.succeed(Permissions.allow({ input: other, rules })) })
      assert.deepInclude(changed, { behavior: "allow", updatedInput: other, updatedPermissions: rules })
    }))

  it.effect("denies with a reason, and ends the turn where it says so", () =>
    Effect.gen(function*() {
      const denied = yield* answerOf({ permissions: () => Effect.succeed(Permissions.deny("not here")) })
      assert.deepInclude(denied, { behavior: "deny", message: "not here" })
      assert.notProperty(denied, "interrupt")
      const ended = yield* answerOf({
        permissions: () => Effect.succeed(Permissions.deny("not here", { interrupt: true }))
      })
      assert.deepInclude(ended, { behavior: "deny", interrupt: true })
    }))

  it.effect(
    "that fails, dies, throws or interrupts itself denies, and its message is the reason",
    () =>
      Effect.gen(function*() {
        const handlers: ReadonlyArray<readonly [Permissions.Handler, string]> = [
          [() => Effect.fail({ message: "no database" }), "no database"],
          [() => Effect.fail("plain words"), "plain words"],
          [() => Effect.die(new Error("a bug")), "a bug"],
          [() => {
            throw new Error("thrown")
          }, "thrown"],
          [() => Effect.interrupt, "interrupted"]
        ]
        for (const [permissions, reason] of handlers) {
          const answer = yield* answerOf({ permissions })
          assert.deepInclude(answer, { subtype: "success", behavior: "deny" })
          assert.include(String(answer["message"]), reason)
        }
      }),
    30_000
  )

  it.effect("that gives what is no decision denies", () =>
    Effect.gen(function*() {
      for (const given of [undefined, true, { behavior: "allow" }]) {
        const answer = yield* answerOf({ permissions: () => Effect.succeed(given as unknown as Permissions.Decision) })
        assert.deepInclude(answer, { subtype: "success", behavior: "deny" })
      }
    }))

  it.effect("is not troubled with a question that cannot be understood: it is denied", () =>
    Effect.gen(function*() {
      const answer = yield* answerOf({ permissions: () => Effect.succeed(Permissions.allow()) }, [
        FakeCli.init(),
        FakeCli.emit({
          type: "control_request",
          request_id: "r1",
          request: { subtype: "can_use_tool", tool_name: 7, input: {}, tool_use_id: "t" }
        }),
        FakeCli.delay("1 second"),
        ...FakeCli.answer("done").slice(1)
      ])
      assert.deepInclude(answer, { behavior: "deny" })
      assert.include(String(answer["message"]), "tool_name")
    }))

  it.effect("is interrupted when the CLI withdraws the question, and nothing is answered", () =>
    Effect.gen(function*() {
      const gone = yield* Deferred.make<void>()
      const answer = yield* answerOf({
        permissions: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(gone, undefined))
      }, [
        FakeCli.init(),
        FakeCli.emit({
          type: "control_request",
          request_id: "r1",
          request: { subtype: "can_use_tool", tool_name: "Bash", input: bash, tool_use_id: "t" }
        }),
        FakeCli.delay("1 minute"),
        FakeCli.emit({ type: "control_cancel_request", request_id: "r1" }),
        FakeCli.delay("1 minute"),
        ...FakeCli.answer("done").slice(1)
      ])
      yield* Deferred.await(gone)
      assert.deepStrictEqual(answer, {})
    }))

  it.effect("that takes an hour does not stall the run, and other questions are answered meanwhile", () =>
    Effect.gen(function*() {
      const ask = (id: string, command: string) =>
        FakeCli.emit({
          type: "control_request",
          request_id: id,
          request: { subtype: "can_use_tool", tool_name: "Read", input: { command }, tool_use_id: id }
        })
      const program = Effect.gen(function*() {
        const fiber = yield* Effect.fork(Claude.text("x", {
          stallTimeout: "1 minute",
          permissions: ({ input }) =>
            Effect.delay(Effect.succeed(Permissions.allow()), input["command"] === "slow" ? "1 hour" : "1 second")
        }))
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual((yield* answers).map(({ updatedInput }) => updatedInput), [{ command: "quick" }])
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(yield* answers, 2)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Fiber.join(fiber), "done")
      })
      yield* Effect.provide(
        program,
        FakeClaude.layer([[
          FakeCli.init(),
          ask("r1", "slow"),
          ask("r2", "quick"),
          FakeCli.delay("3630 seconds"),
          ...FakeCli.answer("done").slice(1)
        ]])
      )
    }))

  it.effect("answers though the consumer never pulls, however much there is to pull", () =>
    Effect.scoped(Effect.gen(function*() {
      const pull = yield* Stream.toPull(
        Claude.query("x", { permissions: () => Effect.succeed(Permissions.allow()) })
      )
      yield* pull
      yield* TestClock.adjust("1 second")
      assert.deepInclude((yield* answers)[0] ?? {}, { behavior: "allow" })
    })).pipe(Effect.provide(FakeClaude.layer([[
      FakeCli.init(),
      ...Array.from({ length: 5000 }, (_, index) => FakeCli.text(`${index}`)),
      FakeCli.askPermission("Bash", bash),
      FakeCli.hang
    ]]))))

  it.effect("has its own time where it wants: withTimeout denies when it is over", () =>
    Effect.gen(function*() {
      const late = yield* answerOf({ permissions: Permissions.withTimeout(() => Effect.never, "1 minute") })
      assert.deepInclude(late, { behavior: "deny", message: "Nobody decided within 1m." })
      const inTime = yield* answerOf({
        permissions: Permissions.withTimeout(
          () => Effect.delay(Effect.succeed(Permissions.allow()), "59 seconds"),
          "1 minute"
        )
      })
      assert.deepInclude(inTime, { behavior: "allow" })
    }))
})

describe("the Permissions reference", () => {
  class Judge extends Context.Tag("Judge")<Judge, { readonly word: string }>() {}

  it.effect("is for all queries, with the services of its layer; a call's own handler wins", () =>
    Effect.gen(function*() {
      const judged = Permissions.layer(() => Effect.map(Judge, ({ word }) => Permissions.deny(word))).pipe(
        Layer.provide(Layer.succeed(Judge, { word: "guilty" }))
      )
      const ambient = yield* Effect.provide(answerOf({}), judged)
      assert.deepInclude(ambient, { behavior: "deny", message: "guilty" })
      const own = yield* Effect.provide(answerOf({ permissions: () => Effect.succeed(Permissions.allow()) }), judged)
      assert.deepInclude(own, { behavior: "allow" })
      const off = yield* Effect.provide(answerOf({}), Layer.merge(judged, Permissions.layerNoop))
      assert.deepInclude(off, { subtype: "error" })
    }))
})

describe("lists of tools", () => {
  const decided = (handler: Permissions.Handler, tool: string, requiresUserInteraction = false) =>
    Effect.map(handler(request({ tool, requiresUserInteraction })), ({ _tag }) => _tag)

  it.effect("allow what they name, a whole server, and by *", () =>
    Effect.gen(function*() {
      const handler = yield* Permissions.allowing(["Read", "mcp__calc", "mcp__web__get_*"])
      const cases: ReadonlyArray<readonly [string, "Allow" | "Pass"]> = [
        ["Read", "Allow"],
        ["ReadMore", "Pass"],
        ["NotRead", "Pass"],
        ["mcp__calc__add", "Allow"],
        ["mcp__calculator__add", "Pass"],
        ["mcp__web__get_page", "Allow"],
        ["mcp__web__put_page", "Pass"]
      ]
      for (const [tool, tag] of cases) assert.strictEqual(yield* decided(handler, tool), tag, tool)
      assert.strictEqual(yield* decided(yield* Permissions.allowing([]), ""), "Pass")
    }))

  it.effect("never answer for the user, unless the tool is named", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* decided(yield* Permissions.allowing(["*"]), "AskUserQuestion", true), "Pass")
      assert.strictEqual(yield* decided(yield* Permissions.allowing(["ExitPlanMode"]), "ExitPlanMode", true), "Allow")
    }))

  it.effect("know a tool that wants its user's answer also where the CLI does not say so", () =>
    Effect.gen(function*() {
      const question = [
        FakeCli.init(),
        FakeCli.askPermission("AskUserQuestion", {}),
        ...FakeCli.answer("done").slice(1)
      ]
      const answer = yield* Effect.provide(answerOf({}, question), Permissions.layerDeny(["Bash"]))
      assert.deepInclude(answer, { behavior: "deny" })
    }))

  it("allow a name and nothing that only contains it, whatever the name", async () => {
    const name = FastCheck.stringMatching(/^[A-Za-z_.:-][\w.:-]{0,12}$/)
    await FastCheck.assert(FastCheck.asyncProperty(name, name, async (listed, asked) => {
      const handler = Either.getOrThrow(Permissions.allowing([listed]))
      const tag = await Effect.runPromise(decided(handler, asked))
      const serverOf = listed.startsWith("mcp__") && asked.startsWith(`${listed}__`)
      assert.strictEqual(tag, listed === asked || serverOf ? "Allow" : "Pass")
    }))
  })

  it.effect("as layers decide on everything: what is not allowed is denied, what is not denied is allowed", () =>
    Effect.gen(function*() {
      assert.deepInclude(yield* Effect.provide(answerOf({}), Permissions.layerAllow(["Bash"])), { behavior: "allow" })
      assert.deepInclude(yield* Effect.provide(answerOf({}), Permissions.layerAllow(["Read"])), { behavior: "deny" })
      assert.deepInclude(yield* Effect.provide(answerOf({}), Permissions.layerDeny(["Bash"])), { behavior: "deny" })
      assert.deepInclude(yield* Effect.provide(answerOf({}), Permissions.layerDeny(["Read"])), { behavior: "allow" })
    }))

  it.effect("refuse rules with brackets, which only the CLI can read", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Permissions.allowing(["Bash(git log:*)"]))
      assert.strictEqual(error._tag, "InvalidOptionsError")
      assert.include(error.message, "allowedTools")
    }))

  it.effect("are asked one after the other by orElse", () =>
    Effect.gen(function*() {
      const handler = Permissions.orElse(
        yield* Permissions.denying(["Bash"], "never"),
        yield* Permissions.allowing(["*"])
      )
      assert.deepStrictEqual(yield* handler(request({})), Permissions.deny("never"))
      assert.deepStrictEqual(yield* handler(request({ tool: "Read" })), Permissions.allow())
    }))
})

describe("questions to the user", () => {
  const input = {
    questions: [
      {
        question: "Which?",
        header: "H",
        options: [{ label: "A", description: "a" }, { label: "B", description: "b" }],
        multiSelect: false
      },
      { question: "What else?", header: "E", options: [{ label: "C", description: "c" }], multiSelect: true }
    ]
  }
  const question = request({ tool: "AskUserQuestion", input, requiresUserInteraction: true })

  it("are typed, and answered by labels within the input that the tool had", () => {
    assert.deepStrictEqual(Permissions.questions(question).map(({ question }) => question), ["Which?", "What else?"])
    assert.deepStrictEqual(Permissions.questions(request({})), [])
    assert.deepStrictEqual(
      Permissions.answer(question, { "Which?": "B", "What else?": ["C", "mine"] }),
      Permissions.allow({ input: { ...input, answers: { "Which?": "B", "What else?": "C, mine" } } })
    )
  })

  it("of a shape that is not known are none, and no failure", () => {
    const odd = request({ tool: "AskUserQuestion", input: { questions: [{ text: "?" }] } })
    assert.deepStrictEqual(Permissions.questions(odd), [])
  })
})
