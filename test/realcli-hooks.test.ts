import type { Claude } from "@ccflow/core"
import { HookInput, Hooks, Permissions } from "@ccflow/core"
import type { HookEvent } from "@ccflow/core/HookInput"
import type { Message } from "@ccflow/core/Message"
import { Deferred, Effect } from "effect"
import { access, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import { askHosted, type Hosting } from "./support/hostBench.js"
import * as Api from "./support/MessagesApi.js"
import { type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"

const bash = (command: string) => Api.toolUse("Bash", { command, description: "x" })
const allowed = { allowedTools: ["Bash"] }

await describeRealCli("hooks", (cli) => {
  let home: SandboxHome
  beforeAll(async () => {
    home = await sandboxHome()
    await mkdir(join(home.project, ".claude", "commands"), { recursive: true })
    await writeFile(join(home.project, ".claude", "commands", "mine.md"), "Do $ARGUMENTS")
  })
  afterAll(() => home[Symbol.asyncDispose]())

  const made = (name: string) => access(join(home.project, name)).then(() => true, () => false)
  const ask = (options: Claude.ClaudeOptions, replies: Api.Script, how: Partial<Hosting> = {}) =>
    askHosted(cli, home, options, { ...how, replies })
  const answer = (messages: ReadonlyArray<Message>) => messages.find((message) => message._tag === "Result")

  /** Registered for every event at once: those whose input was understood, in order. */
  const fired = async (replies: Api.Script, options: Claude.ClaudeOptions = {}, how: Partial<Hosting> = {}) => {
    const events: Array<string> = []
    const unread: Array<string> = []
    const names = Object.keys(HookInput.inputs) as ReadonlyArray<HookEvent>
    const hooks = names.map((event): Hooks.Registration => {
      const read = Hooks.on(event, () =>
        Effect.sync(() => {
          events.push(event)
          return Hooks.proceed
        }))
      return {
        ...read,
        handle: (raw) => Effect.tapError(read.handle(raw), (error) => Effect.sync(() => unread.push(String(error))))
      }
    })
    await ask({ permissions: () => Effect.succeed(Permissions.allow()), hooks, ...options }, replies, how)
    assert.deepStrictEqual(unread, [])
    return events
  }

  it("fire at the points of a turn with a tool, and their inputs are as typed", async () => {
    assert.deepStrictEqual(await fired([bash("echo hi"), Api.text("done")], allowed), [
      "UserPromptSubmit",
      "PreToolUse",
      "PostToolUse",
      "PostToolBatch",
      "MessageDisplay",
      "Stop"
    ])
    assert.includeMembers(await fired([bash("exit 3"), Api.text("done")], allowed), [
      "PreToolUse",
      "PostToolUseFailure"
    ])
    assert.includeMembers(await fired([bash("touch asked"), Api.text("done")]), ["PermissionRequest", "PostToolUse"])
  })

  it("fire for subagents, slash commands, failures of the API and compaction", async () => {
    const subagent = await fired((request) => {
      if (request.toolResults.length > 0) return Api.text("main done")
      return request.userTexts.some((text) => text.includes("the subtask")) ?
        Api.text("sub done") :
        Api.toolUse("Task", {
          description: "x",
          prompt: "the subtask",
          subagent_type: "general-purpose",
          run_in_background: false
        })
    })
    assert.includeMembers(subagent, ["SubagentStart", "SubagentStop"])
    assert.include(await fired([Api.text("ok")], {}, { prompt: "/mine thing" }), "UserPromptExpansion")
    const failed = await fired([Api.status(400, { message: "bad" })])
    assert.include(failed, "StopFailure")
    assert.notInclude(failed, "Stop")
    const first = await ask(allowed, [bash("echo hi"), bash("echo ho"), Api.text("remember")])
    const compacted = await fired([Api.text("summary")], { resume: answer(first.messages)?.sessionId }, {
      prompt: "/compact"
    })
    assert.includeMembers(compacted, ["PreCompact", "PostCompact", "SessionStart"])
  })

  it("do not fire at the start and the end of a session", async () => {
    const events = await fired([Api.text("done")])
    assert.notInclude(events, "SessionStart")
    assert.notInclude(events, "SessionEnd")
  })

  it("PreToolUse denies what a rule allows, for the tools that its matcher names", async () => {
    const { requests } = await ask({
      allowedTools: ["Bash", "Read"],
      hooks: [Hooks.on("PreToolUse", { matcher: "Ba.h|Write" }, () => Effect.succeed(Hooks.deny("Not on a Sunday.")))]
    }, [bash("touch hook-denied"), Api.toolUse("Read", { file_path: join(home.project, "none") }), Api.text("done")])
    assert.include(requests[1]?.toolResults[0]?.text ?? "", "Not on a Sunday.")
    assert.notInclude(requests[2]?.toolResults[0]?.text ?? "", "Sunday")
    assert.isFalse(await made("hook-denied"))
  })

  it("PreToolUse allows, changes the input, and has the handler asked", async () => {
    const changed = await ask({
      hooks: [Hooks.on("PreToolUse", ({ toolName }) => {
        assert.strictEqual(toolName, "Bash")
        return Effect.succeed(
          Hooks.combine(Hooks.allow(), Hooks.changeInput({ command: "touch hook-changed", description: "y" }))
        )
      })]
    }, [bash("touch hook-first"), Api.text("done")])
    assert.isUndefined(changed.error)
    assert.deepStrictEqual([await made("hook-first"), await made("hook-changed")], [false, true])
    const asked: Array<string | undefined> = []
    await ask({
      ...allowed,
      hooks: [Hooks.on("PreToolUse", () => Effect.succeed(Hooks.ask("Look twice.")))],
      permissions: ({ reason }) =>
        Effect.sync(() => {
          asked.push(reason)
          return Permissions.allow()
        })
    }, [bash("echo hi"), Api.text("done")])
    assert.deepStrictEqual(asked, ["Look twice."])
  })

  it("a gate that fails, dies or is too late keeps the tool from running; one that may fail does not", async () => {
    const gates = [() => Effect.fail("no database"), () => Effect.die(new Error("a bug")), () => Effect.never]
    for (const gate of gates) {
      const { error, requests } = await ask({
        ...allowed,
        hooks: [Hooks.on("PreToolUse", { timeout: "300 millis" }, gate)]
      }, [bash("touch gate-failed"), Api.text("done")])
      assert.isUndefined(error)
      assert.match(
        requests[1]?.toolResults[0]?.text ?? "",
        /PreToolUse hook failed: (no database|a bug|it took longer)/
      )
      assert.isFalse(await made("gate-failed"))
    }
    await ask({
      ...allowed,
      hooks: [Hooks.on("PreToolUse", { onFailure: "continue" }, () => Effect.die("a bug"))]
    }, [bash("touch gate-open"), Api.text("done")])
    assert.isTrue(await made("gate-open"))
  })

  it("an interrupt while a gate decides: its handler is interrupted and the tool does not run", async () => {
    const asked = Effect.runSync(Deferred.make<void>())
    let interrupted = false
    await ask({
      ...allowed,
      hooks: [Hooks.on("PreToolUse", () =>
        Effect.zipRight(
          Deferred.succeed(asked, undefined),
          Effect.onInterrupt(Effect.never, () =>
            Effect.sync(() => {
              interrupted = true
            }))
        ))],
      interruptWhen: Effect.delay(Deferred.await(asked), "100 millis")
    }, [bash("touch gate-interrupted"), Api.text("done")])
    assert.isTrue(interrupted)
    assert.isFalse(await made("gate-interrupted"))
  })

  it("UserPromptSubmit adds context, and blocks", async () => {
    const added = await ask(
      {
        hooks: [Hooks.on("UserPromptSubmit", ({ prompt }) => Effect.succeed(Hooks.addContext(`${prompt}: it rains`)))]
      },
      [Api.text("done")],
      { prompt: "Weather" }
    )
    assert.include(JSON.stringify(added.requests[0]?.body), "Weather: it rains")
    const blocked = await ask({
      hooks: [Hooks.on("UserPromptSubmit", () => Effect.succeed(Hooks.block("Not this.")))]
    }, [Api.text("done")])
    assert.lengthOf(blocked.requests, 0)
    assert.isUndefined(blocked.error)
    assert.include(JSON.stringify(blocked.messages), "Not this.")
  })

  it("PostToolUse changes what the model reads, and ends the turn", async () => {
    const changed = await ask({
      ...allowed,
      hooks: [Hooks.on("PostToolUse", ({ toolResponse }) => {
        assert.include(JSON.stringify(toolResponse), "secret")
        return Effect.succeed(Hooks.combine(
          Hooks.changeResult({ stdout: "[redacted]", stderr: "", interrupted: false, isImage: false }),
          Hooks.addContext("It was redacted.")
        ))
      })]
    }, [bash("echo secret"), Api.text("done")])
    assert.strictEqual(changed.requests[1]?.toolResults[0]?.text, "[redacted]")
    assert.include(JSON.stringify(changed.requests[1]?.body), "It was redacted.")
    const stopped = await ask({
      ...allowed,
      hooks: [Hooks.on("PostToolUse", () => Effect.succeed(Hooks.stop("Enough.")))]
    }, [bash("echo hi"), Api.text("never said")])
    assert.lengthOf(stopped.requests, 1)
    assert.isUndefined(stopped.error)
    assert.strictEqual(answer(stopped.messages)?.terminalReason, "hook_stopped")
  })

  it("Stop sends the model back to work, once", async () => {
    const { messages, requests } = await ask({
      hooks: [
        Hooks.on(
          "Stop",
          ({ stopHookActive }) => Effect.succeed(stopHookActive === true ? Hooks.proceed : Hooks.block("Say more."))
        )
      ]
    }, [Api.text("one"), Api.text("two")])
    assert.lengthOf(requests, 2)
    assert.include(JSON.stringify(requests[1]?.body), "Say more.")
    assert.strictEqual(answer(messages)?.result, "two")
  })

  it("PermissionRequest answers before a permission handler that takes its time", async () => {
    let withdrawn = false
    const { requests } = await ask({
      permissions: () =>
        Effect.onInterrupt(Effect.never, () =>
          Effect.sync(() => {
            withdrawn = true
          })),
      hooks: [Hooks.on("PermissionRequest", () => Effect.succeed(Hooks.deny("The hook says no.")))]
    }, [bash("touch request-denied"), Api.text("done")])
    assert.strictEqual(requests[1]?.toolResults[0]?.text, "The hook says no.")
    assert.isTrue(withdrawn)
    assert.isFalse(await made("request-denied"))
  })
}, { concurrent: true })
