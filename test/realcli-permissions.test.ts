import { type Claude, Permissions } from "@ccflow/core"
import type { Message } from "@ccflow/core/Message"
import { Deferred, Duration, Effect, Stream } from "effect"
import { access } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { askHosted } from "./support/hostBench.js"
import * as Api from "./support/MessagesApi.js"
import { type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"

const bash = (command: string) => Api.toolUse("Bash", { command, description: "x" })

await describeRealCli("permissions", (cli) => {
  let home: SandboxHome
  beforeAll(async () => {
    home = await sandboxHome()
  })
  afterAll(() => home[Symbol.asyncDispose]())

  const made = (name: string) => access(join(home.project, name)).then(() => true, () => false)
  const ask = (options: Claude.ClaudeOptions, replies: Api.Script) => askHosted(cli, home, options, { replies })
  const results = (messages: ReadonlyArray<Message>) =>
    messages.flatMap((message) => message._tag === "ToolResult" ? [message.content] : [])
  const denials = (messages: ReadonlyArray<Message>) =>
    messages.flatMap((message) => message._tag === "Result" ? message.permissionDenials : [])

  it("allow: the tool runs, and is asked about once", async () => {
    const asked: Array<Permissions.PermissionRequest> = []
    const { error, messages } = await ask({
      permissions: (request) =>
        Effect.sync(() => {
          asked.push(request)
          return Permissions.allow()
        })
    }, [bash("touch allowed"), Api.text("done")])
    assert.isUndefined(error)
    assert.isTrue(await made("allowed"))
    assert.deepStrictEqual(asked.map(({ input, tool }) => [tool, input["command"]]), [["Bash", "touch allowed"]])
    const use = messages.find((message) => message._tag === "ToolUse")
    assert.strictEqual(asked[0]?.toolUseId, use?._tag === "ToolUse" ? use.id : "")
    assert.isTrue(asked[0]?.suggestions.some(({ type }) => type === "addRules"))
    assert.isFalse(asked[0]?.requiresUserInteraction)
  })

  it("allow with another input: that is what runs", async () => {
    const { messages } = await ask({
      permissions: ({ input }) => Effect.succeed(Permissions.allow({ input: { ...input, command: "touch other" } }))
    }, [bash("touch first"), Api.text("done")])
    assert.strictEqual(results(messages).length, 1)
    assert.deepStrictEqual([await made("first"), await made("other")], [false, true])
  })

  it("deny: the tool does not run, the model reads why, and the result has the denial", async () => {
    const { error, messages, requests } = await ask(
      { permissions: () => Effect.succeed(Permissions.deny("Not on a Sunday.")) },
      [bash("touch denied"), Api.text("understood")]
    )
    assert.isUndefined(error)
    assert.isFalse(await made("denied"))
    assert.include(requests[1]?.toolResults[0]?.text ?? "", "Not on a Sunday.")
    assert.deepStrictEqual(denials(messages).map(({ tool }) => tool), ["Bash"])
  })

  it("deny and interrupt: the turn ends, and the API is not asked again", async () => {
    const { error, messages, requests } = await ask(
      { permissions: () => Effect.succeed(Permissions.deny("Stop.", { interrupt: true })) },
      [bash("touch stopped"), Api.text("never said")]
    )
    assert.deepInclude({ ...Object(error) }, { _tag: "PermissionDeniedError", tool: "Bash" })
    assert.isFalse(await made("stopped"))
    assert.strictEqual(requests.length, 1)
    assert.deepStrictEqual(denials(messages).map(({ tool }) => tool), ["Bash"])
  })

  it("a handler that dies: the tool does not run, and the model reads that", async () => {
    const { requests } = await ask(
      { permissions: () => Effect.die(new Error("the judge is ill")) },
      [bash("touch died"), Api.text("done")]
    )
    assert.isFalse(await made("died"))
    assert.include(requests[1]?.toolResults[0]?.text ?? "", "the judge is ill")
  })

  it("a remembered rule: what it covers is not asked about again", async () => {
    let asked = 0
    const { requests } = await ask({
      permissions: ({ suggestions }) =>
        Effect.sync(() => {
          asked++
          const rules = suggestions.filter(({ type }) => type === "addRules")
          return Permissions.allow({ rules: rules.map((rule) => ({ ...rule, destination: "session" })) })
        })
    }, [bash("touch ruled"), bash("touch ruled again"), Api.text("done")])
    assert.strictEqual(requests.length, 3)
    assert.strictEqual(asked, 1)
    assert.isFalse(await made(".claude/settings.local.json"))
  })

  it("questions are answered, and a plan is approved", async () => {
    const questions = [
      {
        question: "Which?",
        header: "H",
        options: [{ label: "A", description: "a" }, { label: "B", description: "b" }],
        multiSelect: false
      },
      {
        question: "What else?",
        header: "E",
        options: [{ label: "C", description: "c" }, { label: "D", description: "d" }],
        multiSelect: true
      }
    ]
    const asked: Array<string> = []
    const { requests } = await ask({
      permissionMode: "plan",
      permissions: (request) =>
        Effect.sync(() => {
          asked.push(...Permissions.questions(request).map(({ question }) => question), request.tool)
          assert.isTrue(request.requiresUserInteraction)
          return request.tool === "AskUserQuestion"
            ? Permissions.answer(request, { "Which?": "B", "What else?": ["C", "D"] })
            : Permissions.allow()
        })
    }, [
      Api.toolUse("AskUserQuestion", { questions }),
      Api.toolUse("ExitPlanMode", { plan: "1. Do it." }),
      Api.text("done")
    ])
    assert.deepStrictEqual(asked, ["Which?", "What else?", "AskUserQuestion", "ExitPlanMode"])
    assert.match(requests[1]?.toolResults[0]?.text ?? "", /"Which\?"="B".*"What else\?"="C, D"/)
    assert.match(requests[2]?.toolResults[0]?.text ?? "", /approved/)
  })

  it("an interrupt withdraws the question: the handler is interrupted", async () => {
    const asked = Effect.runSync(Deferred.make<void>())
    let withdrawn = false
    const { error } = await ask({
      permissions: () =>
        Effect.zipRight(
          Deferred.succeed(asked, undefined),
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              withdrawn = true
            }))
        ),
      interruptWhen: Effect.delay(Deferred.await(asked), "100 millis")
    }, [bash("touch pending"), Api.text("done")])
    assert.isUndefined(error)
    assert.isTrue(withdrawn)
    assert.isFalse(await made("pending"))
  })

  it("a question that waits longer than the stall deadline is no stall; with a deadline of its own it is denied", async () => {
    const slow = await ask({
      stallTimeout: "3 seconds",
      permissions: () => Effect.delay(Effect.succeed(Permissions.allow()), "4500 millis")
    }, [bash("touch slow"), Api.text("done")])
    assert.isUndefined(slow.error)
    assert.isTrue(await made("slow"))
    const never = await ask(
      { permissions: Permissions.withTimeout(() => Effect.never, "300 millis") },
      [bash("touch never"), Api.text("done")]
    )
    assert.isUndefined(never.error)
    assert.include(never.requests[1]?.toolResults[0]?.text ?? "", Duration.format("300 millis"))
  })

  it("answers go out at once though nobody pulls a message", async () => {
    let answered = 0
    const { messages } = await askHosted(cli, home, {
      includePartialMessages: true,
      permissions: () =>
        Effect.sync(() => {
          answered++
          return Permissions.allow()
        })
    }, {
      replies: [
        Api.blocks([
          Api.textBlock("word ".repeat(3000)),
          Api.toolBlock("Bash", { command: "touch unread", description: "x" })
        ], { chunkSize: 5 }),
        Api.text("done")
      ],
      // The first message is held until what the handler allowed has been done.
      reading: Stream.tap((message) =>
        message._tag === "Init"
          ? Effect.promise(async () => {
            while (!await made("unread")) await new Promise((resolve) => setTimeout(resolve, 20))
          })
          : Effect.void
      )
    })
    assert.strictEqual(answered, 1)
    assert.isAbove(messages.length, 3000)
  })

  it("a subagent's question says whose it is", async () => {
    const asked: Array<readonly [string, boolean]> = []
    const { error, messages } = await ask({
      agents: { helper: { description: "Helps", prompt: "Help." } },
      permissions: ({ agentId, tool }) =>
        Effect.sync(() => {
          asked.push([tool, agentId !== undefined])
          return Permissions.allow()
        })
    }, (request) => {
      const sub = request.userTexts.some((text) => text.includes("the subtask"))
      if (request.toolResults.length > 0) return Api.text(sub ? "sub done" : "main done")
      return sub
        ? bash("touch by-subagent")
        : Api.toolUse("Task", {
          description: "x",
          prompt: "the subtask",
          subagent_type: "helper",
          run_in_background: false
        })
    })
    assert.isUndefined(error)
    assert.deepStrictEqual(asked.filter(([tool]) => tool === "Bash"), [["Bash", true]])
    assert.isTrue(await made("by-subagent"))
    const task = messages.find((message) => message._tag === "ToolUse" && message.parentToolUseId === undefined)
    const inside = messages.filter((message) => "parentToolUseId" in message && message.parentToolUseId !== undefined)
    assert.includeMembers(inside.map(({ _tag }) => _tag), ["ToolUse", "ToolResult", "Assistant"])
    for (const message of inside) {
      assert.strictEqual(
        "parentToolUseId" in message ? message.parentToolUseId : "",
        task?._tag === "ToolUse" ? task.id : ""
      )
    }
  })
}, { concurrent: true })
