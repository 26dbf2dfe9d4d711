import * as MessageParser from "@ccflow/core/MessageParser"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parse, told } from "./golden/account.js"
import { recordings, recordingsFolder, type Run, transcripts } from "./golden/runs.js"
import { outcomes, summarize, type Summary } from "./golden/summary.js"
import { at, framesOf, truth } from "./golden/truth.js"

const goldenFile = fileURLToPath(new URL("golden/transcripts.ndjson", import.meta.url))
const newline = 0x0a

/** The messages are what the raw lines say: text, messages, usage, costs, tools, kinds and sessions. */
const isTrue = (run: Run) => assert.deepStrictEqual(told(run), truth(run))

/** Whatever the raw lines say of success is what the verdict says; the reasons are in the golden file. */
const decidesRightly = (run: Run) => {
  const wantsData = run.args.some((arg) => arg.startsWith("--json-schema"))
  const interrupted = run.stdin.includes("\"subtype\":\"interrupt\"")
  const turns = framesOf(run.stdout).filter((frame) => at(frame, "type") === "result" && at(frame, "origin") == null)
  const good = turns.map((frame) =>
    (interrupted && String(at(frame, "terminal_reason")).startsWith("aborted")) ||
    (at(frame, "is_error") === false && at(frame, "subtype") === "success" &&
      (!wantsData || at(frame, "structured_output") !== undefined))
  )
  const decided = outcomes(run, parse(run.stdout).messages)
  assert.deepStrictEqual(decided.map((outcome) => outcome === "ok"), good.length === 0 ? [false] : good)
}

/** What a screen shows after each line: all that lines have confirmed, and then no more than deltas have said. */
const isPlausibleAtEveryLine = (run: Run) => {
  const parser = MessageParser.make()
  const screen: Record<string, string> = {}
  const confirmed: Record<string, string> = {}
  const saidByDeltas: Record<string, string> = {}
  let from = 0
  for (let end = run.stdout.indexOf(newline); end >= 0; end = run.stdout.indexOf(newline, from)) {
    const bytes = run.stdout.subarray(from, end + 1)
    from = end + 1
    for (const message of parser.push([bytes])) {
      if (message._tag !== "Text") continue
      const thread = message.parentToolUseId ?? ""
      const shown = screen[thread] ?? ""
      assert.isAtMost(message.retract ?? 0, shown.length, "takes back more than is there")
      screen[thread] = shown.slice(0, shown.length - (message.retract ?? 0)) + message.content
    }
    const [frame] = framesOf(bytes)
    const parent = at(frame, "parent_tool_use_id")
    const thread = typeof parent === "string" ? parent : ""
    const type = at(frame, "event", "type")
    if (type === "message_start") saidByDeltas[thread] = ""
    const delta = at(frame, "event", "delta", "text")
    if (typeof delta === "string") saidByDeltas[thread] = (saidByDeltas[thread] ?? "") + delta
    const content = at(frame, "message", "content")
    if (at(frame, "type") === "assistant" && Array.isArray(content)) {
      const whole = content.map((block) => at(block, "type") === "text" ? String(at(block, "text")) : "").join("")
      confirmed[thread] = (confirmed[thread] ?? "") + whole
    }
    for (const [shown, text] of Object.entries(screen)) {
      const certain = confirmed[shown] ?? ""
      assert.isTrue(text.startsWith(certain), "what a line has said is shown")
      assert.isTrue((saidByDeltas[shown] ?? "").endsWith(text.slice(certain.length)), "what was not said is not shown")
    }
  }
}

/** The order that the design promises around a turn's end, and that a message is told once. */
const isInOrder = (run: Run) => {
  const { messages } = parse(run.stdout)
  messages.forEach((message, index) => {
    if (message._tag === "Stop") assert.strictEqual(messages[index + 1]?._tag, "Result")
    if (message._tag === "Result") assert.strictEqual(messages[index - 1]?._tag, "Stop")
  })
  const ids = messages.flatMap((message) => message._tag === "Assistant" ? [message.messageId] : [])
  assert.deepStrictEqual(ids, [...new Set(ids)])
  const named = messages.findIndex((message) => message.sessionId !== "")
  assert.isTrue(named < 0 || messages.slice(named).every((message) => message.sessionId !== ""))
}

/** What a line says and a message repeats, in the order of the lines. */
const repeats = (run: Run) => {
  const said: Record<string, Array<ReadonlyArray<unknown>>> = {}
  const told: Record<string, Array<ReadonlyArray<unknown>>> = {}
  const add = (to: typeof said, kind: string, ...values: ReadonlyArray<unknown>) =>
    (to[kind] ??= []).push(values.map((value) => value ?? undefined))
  for (const frame of framesOf(run.stdout)) {
    const type = at(frame, "type")
    const subtype = String(at(frame, "subtype"))
    if (type === "result") {
      const subagents = at(frame, "subagent_stats")
      add(said, "result", at(frame, "duration_api_ms"), at(frame, "ttft_ms"), at(subagents, "spawned"))
    } else if (type === "assistant" && typeof at(frame, "error") === "string") {
      add(said, "error", at(frame, "request_id"))
    } else if (type === "rate_limit_event") {
      const info = at(frame, "rate_limit_info")
      add(said, "limit", at(info, "isUsingOverage"), at(info, "overageStatus"))
    } else if (subtype === "init") {
      const servers = at(frame, "mcp_servers")
      add(said, "servers", ...(Array.isArray(servers) ? servers : []).map((server) => at(server, "source")))
      const plugins = at(frame, "plugins")
      add(said, "plugins", ...(Array.isArray(plugins) ? plugins : []).map((plugin) => at(plugin, "source")))
    } else if (subtype === "compact_boundary") {
      const facts = at(frame, "compact_metadata")
      add(said, "compact", at(facts, "post_tokens"), at(facts, "duration_ms"))
    } else if (subtype.startsWith("task_")) {
      add(said, "task", at(frame, "task_type"), at(frame, "subagent_type"), at(frame, "last_tool_name"))
      const used = at(frame, "usage")
      if (used !== undefined) {
        add(said, "used", at(used, "total_tokens"), at(used, "tool_uses"), at(used, "duration_ms"))
      }
    }
  }
  for (const message of parse(run.stdout).messages) {
    switch (message._tag) {
      case "Result":
        add(told, "result", message.durationApiMs, message.timeToFirstTokenMs, message.subagents?.spawned)
        break
      case "Error":
        add(told, "error", message.requestId)
        break
      case "RateLimit":
        add(told, "limit", message.usingOverage, message.overageStatus)
        break
      case "Init":
        add(told, "servers", ...message.mcpServers.map(({ source }) => source))
        add(told, "plugins", ...(message.plugins ?? []).map(({ source }) => source))
        break
      case "Compact":
        add(told, "compact", message.postTokens, message.durationMs)
        break
      case "Task": {
        if (message.phase === "background") break
        add(told, "task", message.taskType, message.subagentType, message.lastTool)
        const { usage } = message
        if (usage !== undefined) add(told, "used", usage.totalTokens, usage.toolUses, usage.durationMs)
      }
    }
  }
  assert.deepStrictEqual(told, said)
}

const promises: ReadonlyArray<readonly [string, (run: Run) => void]> = [
  ["says what its raw lines say", isTrue],
  ["repeats the fields that messages have a name for", repeats],
  ["ends as its raw lines say", decidesRightly],
  ["shows at every line what was said, and nothing else", isPlausibleAtEveryLine],
  ["tells each message once, and Stop just before Result", isInOrder]
]

describe("the project's own recordings", () => {
  const runs = recordings()

  it("are there, of both versions", () => {
    for (const version of ["2.1.197", "2.1.330"]) {
      assert.isAbove(runs.filter(({ name }) => name.endsWith(version)).length, 20, recordingsFolder)
    }
  })

  for (const [promise, holds] of promises) it.each(runs)(`$name ${promise}`, holds)
})

describe("the transcripts beside the checkout", () => {
  const runs = transcripts()

  if (runs.length === 0) {
    it.skip("are what they were reviewed to be (skipped: no ../shared/transcripts beside the checkout)", () => {})
  }

  for (const [promise, holds] of promises) it.each(runs)(`$name ${promise}`, holds)

  it.each(runs)("$name is as it was reviewed", (run) => {
    assert.deepStrictEqual(summarize(run), golden.get(run.name))
  })

  if (runs.length > 0) {
    it("are all of those that were reviewed", () => {
      assert.deepStrictEqual(runs.map(({ name }) => name), [...golden.keys()])
    })
  }
})

const golden: ReadonlyMap<string, Summary> = new Map(
  readFileSync(goldenFile, "utf8").trim().split("\n").map((line): [string, Summary] => {
    const summary: Summary = JSON.parse(line)
    return [summary.name, summary]
  })
)

describe("the reviewed summaries", () => {
  it("stay small enough to be read", () => assert.isBelow(statSync(goldenFile).size, 150_000))
})
