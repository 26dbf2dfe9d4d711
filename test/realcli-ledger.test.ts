import * as Claude from "@ccflow/core/Claude"
import { is, type Result } from "@ccflow/core/Message"
import * as Session from "@ccflow/core/Session"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import { Effect, Stream } from "effect"
import { assert, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import { recordedVersions } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { bash, follow, kept, play, processesOf } from "./support/sessionBench.js"

/** What the API has charged for: each request with figures of its own, so that no two sums are alike by chance. */
class Charged {
  input = 0
  output = 0
  read = 0
  written = 0
  private readonly replies: (request: Api.MessagesRequest) => Api.Reply

  constructor(replies: (request: Api.MessagesRequest) => Api.Reply) {
    this.replies = replies
  }

  readonly reply = (request: Api.MessagesRequest): Api.Reply => {
    const reply = this.replies(request)
    if (reply._tag !== "message") return reply
    const n = ++this.count
    const usage = {
      input_tokens: 1000 + n * 7,
      output_tokens: 100 + n * 3,
      cache_read_input_tokens: 5000 + n * 11,
      cache_creation_input_tokens: 300 + n
    }
    this.input += usage.input_tokens
    this.output += usage.output_tokens
    this.read += usage.cache_read_input_tokens
    this.written += usage.cache_creation_input_tokens
    return { ...reply, usage }
  }

  private count = 0
}

const ledger = Effect.map(UsageLedger.current, (found) => found ?? assert.fail("there is a ledger"))

/** The ledger holds what the API has charged for, and what the CLI says that it costs. */
const agrees = (charged: Charged, costUsd: number, listed = true) =>
  Effect.gen(function*() {
    const { total } = yield* ledger
    const sum = yield* total()
    assert.deepStrictEqual(
      [sum.inputTokens, sum.outputTokens, sum.cacheReadInputTokens, sum.cacheCreationInputTokens],
      [charged.input, charged.output, charged.read, charged.written]
    )
    assert.closeTo(sum.costUsd, costUsd, 1e-9)
    assert.deepStrictEqual([sum.unpriced, sum.uncounted, sum.estimatedUsd], [0, 0, 0])
    // The table knows what the newer CLI does; the older one has a price of sonnet that was not to last.
    if (listed) assert.closeTo(sum.listUsd, costUsd, 1e-9)
  })

const answers = (request: Api.MessagesRequest): Api.Reply => Api.text(`Answer ${request.userTexts.length}.`)
const send = (session: Session.Session, prompt: string) => Session.result(session, prompt)

await describeRealCli("the ledger", ({ path, version }) => {
  const carriesOn = version !== "2.1.197"

  it.concurrent("of three turns is the CLI's last cumulative figure, by model and by turn", () => {
    const charged = new Charged(answers)
    return play(path, { replies: charged.reply, options: { tags: ["client"] } }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ model: "sonnet", tags: ["of the session"] })
        const first = yield* send(session, "One")
        yield* session.setModel("haiku")
        const second = yield* UsageLedger.withTags("of the turn")(send(session, "Two"))
        const third = yield* send(session, "Three")
        yield* agrees(charged, third.totalCostUsd, carriesOn)
        const { by, entries } = yield* ledger
        const models = yield* by("model")
        assert.deepStrictEqual(models.map(({ key }) => key).sort(), Object.keys(third.modelUsage).sort())
        for (const { costUsd, key, outputTokens } of models) {
          assert.closeTo(costUsd, third.modelUsage[key]!.costUsd, 1e-9)
          assert.strictEqual(outputTokens, third.modelUsage[key]!.outputTokens)
        }
        const booked = (yield* entries()).entries
        assert.deepStrictEqual(booked.map(({ turnId }) => turnId !== undefined), [true, true, true])
        assert.strictEqual(new Set(booked.map(({ callId }) => callId)).size, 3)
        assert.deepStrictEqual(
          booked.map(({ costUsd = 0 }) => costUsd.toFixed(9)),
          [first, second, third].map(({ costUsd }) => costUsd.toFixed(9))
        )
        const names = [["of the session"], ["of the session", "of the turn"], ["of the session"]]
        assert.deepStrictEqual(booked.map(({ tags }) => tags), names)
        for (const { apiKeySource, sessionId } of booked) {
          assert.strictEqual(sessionId, third.sessionId)
          assert.strictEqual(apiKeySource, "ANTHROPIC_API_KEY")
        }
      }))
  })

  it.concurrent("counts what was resumed, killed, forked and cleared once", () => {
    const charged = new Charged(answers)
    return play(path, { replies: charged.reply }, (scene) =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        yield* send(session, "One")
        const two = yield* send(session, "Two")
        yield* session.close
        const again = yield* Session.make({ resume: yield* session.id })
        const three = yield* send(again, "Three")
        yield* kept(scene, "Answer 3.")
        const [pid] = yield* processesOf(again)
        process.kill(pid ?? assert.fail("it has a process"), "SIGKILL")
        const four = yield* send(again, "Four")
        const child = yield* again.fork()
        const forked = yield* send(child, "Forked")
        const five = yield* send(again, "/clear")
        const six = yield* send(again, "Six")
        const parts = [two, three, four, forked]
        // What each process has counted itself: a cleared one may start again, or go on.
        const own = carriesOn
          ? two.totalCostUsd + [three, four, forked, five, six].reduce((sum, { costUsd }) => sum + costUsd, 0)
          : parts.reduce((sum, { totalCostUsd }) => sum + totalCostUsd, 0) + six.totalCostUsd - four.totalCostUsd
        yield* agrees(charged, own)
        if (version === recordedVersions[0]) {
          assert.closeTo(three.totalCostUsd, two.totalCostUsd + three.costUsd, 1e-9)
        }
        const { by } = yield* ledger
        const sessions = new Set((yield* by("session")).map(({ key }) => key))
        assert.deepStrictEqual(sessions, new Set([two.sessionId, forked.sessionId, six.sessionId]))
        assert.strictEqual(sessions.size, 3)
      }))
  })

  it.concurrent("has what subagents use, at work beside the turn or within it", () => {
    const helper = { description: "helps", prompt: "You are HELPER-AGENT", tools: [] }
    const agent = (background: boolean) =>
      Api.toolUse("Agent", {
        description: "Do it",
        prompt: "Please help",
        subagent_type: "helper",
        run_in_background: background
      })
    const main = [
      agent(false),
      Api.text("It has helped."),
      agent(true),
      Api.text("It is at it."),
      Api.text("The helper is done.")
    ]
    const charged = new Charged((request) =>
      request.system.includes("HELPER-AGENT")
        ? Api.text("Report of the helper.", { firstByteDelayMs: 500 })
        : main.shift() ?? Api.text("No more.")
    )
    return play(path, { replies: charged.reply }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make({ agents: { helper: { ...helper, model: "haiku" } } })
        const background = yield* follow(session.background)
        const first = yield* send(session, "Start")
        assert.isAbove(first.costUsd, 0)
        assert.strictEqual(Object.keys(first.turnUsage ?? {}).length, 2)
        yield* agrees(charged, first.totalCostUsd)
        yield* send(session, "Start another")
        yield* background.says("that the helper is done", ({ _tag }) => _tag === "Result")
        const last = background.messages.findLast(is("Result"))
        yield* agrees(charged, last?.totalCostUsd ?? 0)
        const { entries } = yield* ledger
        const booked = (yield* entries()).entries
        assert.isTrue(booked.every(({ sessionId }) => sessionId === first.sessionId))
        assert.isTrue(booked.some(({ callId, turnId }) => callId === "" && turnId === undefined))
      }))
  })

  it.concurrent("has the turn that was interrupted, once", () => {
    const charged = new Charged((request) =>
      request.userTexts.some((text) => text.includes("Wait"))
        ? request.toolResults.length > 0 ? Api.text("Late.") : bash("sleep 20; echo over")
        : answers(request)
    )
    return play(path, { replies: charged.reply }, () =>
      Effect.gen(function*() {
        const session = yield* Session.make()
        yield* send(session, "One")
        const turn = yield* follow(session.send("Wait"))
        yield* turn.says("that it uses a tool", ({ _tag }) => _tag === "ToolUse")
        yield* session.interrupt
        const { totalCostUsd } = yield* turn.end
        yield* session.close
        yield* agrees(charged, totalCostUsd)
      }))
  })

  it.concurrent("of a query that is left in the middle has an estimate, which says so", () => {
    const charged = new Charged(() => Api.text("word ".repeat(400), { chunkSize: 20, delayMs: 50 }))
    return play(path, { replies: charged.reply }, () =>
      Effect.gen(function*() {
        const { entries, total } = yield* ledger
        yield* Claude.query("Tell me", { includePartialMessages: true }).pipe(
          Stream.takeUntil(is("Text")),
          Stream.runDrain
        )
        const booked = (yield* entries()).entries
        assert.deepStrictEqual(booked.map(({ basis }) => basis), ["estimated"])
        const [one] = booked
        assert.strictEqual(one?.usage?.inputTokens, 1007)
        assert.strictEqual(one?.usage?.cacheReadInputTokens, 5011)
        assert.isAbove(one?.costUsd ?? 0, 0)
        const sum = yield* total()
        assert.strictEqual(sum.estimatedUsd, sum.costUsd)
      }))
  })

  it.concurrent("of a model that nobody knows has no price that was guessed, where the CLI says so", () =>
    play(path, { replies: new Charged(answers).reply }, () =>
      Effect.gen(function*() {
        const { total } = yield* ledger
        const result: Result = yield* Claude.result("Hello", { model: "claude-nonsense-9" })
        const sum = yield* total()
        if (carriesOn) {
          assert.deepStrictEqual([result.unpriced, result.costUsd, sum.costUsd], [["claude-nonsense-9"], 0, 0])
          assert.deepStrictEqual([sum.unpriced, sum.uncounted, sum.inputTokens], [1, 0, 1007])
        } else assert.strictEqual(sum.costUsd, result.costUsd)
      })))
})
