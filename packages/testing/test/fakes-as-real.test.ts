import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import type { Conversation, Frame, Scenario } from "../../../scripts/record/drive.js"
import { drive } from "../../../scripts/record/drive.js"
import { blocks, text, toolBlock } from "../../../test/support/MessagesApi.js"
import { realCli, recordedVersions } from "../../../test/support/RealCli.js"
import { fake } from "./fakeClaude.js"
import { at, story } from "./fakeCli.js"

/**
 * What is sent and when, what the model says in the real CLI, and the script of the fake that does the same. What is sent
 * is sent on a line that the CLI waits behind, so that no clock decides the order.
 */
interface Case extends Pick<Scenario, "react" | "results" | "env"> {
  /** Words that may come at any time. */
  readonly without?: RegExp
  readonly args?: ReadonlyArray<string>
  readonly model: Scenario["script"]
  readonly fake: ReadonlyArray<ReadonlyArray<object>>
}

const bash = (command: string, extra: object = {}) => toolBlock("Bash", { command, description: "Run it", ...extra })
const answer = (content: string) => [{ init: {} }, { text: content }, { result: {} }]
const asking = { askPermission: { tool: "Bash", input: {} } }
const prompts = "--permission-prompt-tool=stdio"
const background = (steps: ReadonlyArray<object>, ms: number) => ({
  tool: { name: "Bash", steps: [{ background: steps, ms }] }
})
const interrupt = { type: "control_request", request_id: "i", request: { subtype: "interrupt" } }

const isResult = (frame: Frame) => frame.type === "result"
const isRequest = (frame: Frame) => frame.type === "control_request"
/** Acts on the first, the second, … frame of that kind. */
const on = (
  fits: (frame: Frame) => boolean,
  ...acts: ReadonlyArray<(conversation: Conversation, frame: Frame) => void>
) =>
() => {
  const rest = [...acts]
  return (frame: Frame, conversation: Conversation) => {
    if (fits(frame)) rest.shift()?.(conversation, frame)
  }
}
const reply = (conversation: Conversation, { request_id }: Frame, response: object) =>
  conversation.send({ type: "control_response", response: { subtype: "success", request_id, response } })
const allow = (conversation: Conversation, frame: Frame) =>
  reply(conversation, frame, { behavior: "allow", updatedInput: { command: "true" } })

const cases: Readonly<Record<string, Case>> = {
  "a prompt that comes while a tool waits": {
    args: [prompts],
    model: () => [blocks([bash("touch x")]), blocks([bash("touch y")]), text("done")],
    react: on(isRequest, (conversation, frame) => {
      conversation.prompt(2, "steer")
      allow(conversation, frame)
    }, allow),
    fake: [[{ init: {} }, asking, asking, { text: "done" }, { result: {} }]]
  },
  "a prompt that comes while another one is answered": {
    model: () => [text("one", { firstByteDelayMs: 1000 }), text("two")],
    react: on((frame) => frame.subtype === "init", (conversation) => conversation.prompt(2, "next")),
    results: 2,
    without: /^queued 2$/,
    fake: [[{ init: {} }, { delay: 500 }, { text: "one" }, { result: {} }], answer("two")]
  },
  "/clear between two prompts": {
    model: () => [text("a"), text("b")],
    react: on(
      isResult,
      (conversation) => conversation.prompt(2, "/clear"),
      (conversation) => conversation.prompt(3, "after")
    ),
    results: 3,
    fake: [answer("a"), answer("b")]
  },
  "an interrupt while a tool waits, and a prompt too": {
    args: [prompts],
    model: () => [blocks([bash("touch x")]), text("b")],
    react: on(isRequest, (conversation) => {
      conversation.prompt(2, "next")
      conversation.send(interrupt)
    }),
    results: 2,
    fake: [[{ init: {} }, asking], answer("b")]
  },
  "background work that is stopped": {
    model: () => [blocks([bash("sleep 300", { run_in_background: true })]), text("started")],
    react: () => {
      let task_id: unknown
      return (frame, conversation) => {
        task_id = frame.subtype === "task_started" ? at(frame, "task_id") : task_id
        if (isResult(frame)) {
          conversation.send({ type: "control_request", request_id: "s", request: { subtype: "stop_task", task_id } })
        }
      }
    },
    fake: [[
      { init: {} },
      background(answer("never"), 300_000),
      { text: "started" },
      { result: {} }
    ]]
  },
  "a denial that ends the turn": {
    args: [prompts],
    model: () => [blocks([bash("touch x")])],
    react: on(
      isRequest,
      (conversation, frame) => reply(conversation, frame, { behavior: "deny", message: "STOP", interrupt: true })
    ),
    fake: [[{ init: {} }, asking, { result: {} }]]
  },
  "the state of the session": {
    env: { CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS: "1" },
    args: [prompts],
    model: () => [blocks([bash("touch x")]), text("done")],
    react: on(isRequest, allow),
    without: /^control_response$/,
    fake: [[{ init: {} }, asking, { text: "done" }, { result: {} }]]
  }
}

/** As above, for what only time can bring about: the real CLI's side is a recording. */
const recorded: Readonly<Record<string, Pick<Case, "react" | "results" | "args" | "fake">>> = {
  "background-bash": {
    results: 2,
    fake: [[{ init: {} }, background(answer("It has finished."), 500), { text: "Started." }, { result: {} }]]
  },
  "interrupt-partial": {
    args: ["--include-partial-messages"],
    react: on(
      (frame) => at(frame, "event.type") === "content_block_delta",
      (conversation) => conversation.send(interrupt)
    ),
    fake: [[{ init: {} }, { text: "one two three", deltas: 2, deltaDelay: 2000 }, { result: {} }]]
  },
  "not-logged-in": {
    fake: [[{ init: {} }, { error: { message: "Please log in", category: "authentication_failed" } }]]
  },
  "permission-deny": {
    react: on(isRequest, (conversation, frame) => reply(conversation, frame, { behavior: "deny", message: "No." })),
    fake: [[{ init: {} }, asking, { text: "denied" }, { result: {} }]]
  },
  "two-turns": {
    results: 2,
    react: on(isResult, (conversation) => conversation.prompt(2, "again")),
    fake: [answer("one"), answer("two")]
  }
}

const wordsOf = (stdout: string) => {
  const words = story(stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line)))
  return words.filter((word, index) => word !== "content_block_delta" || words[index - 1] !== word)
}
const told = async (
  version: string,
  path: string,
  given: Pick<Case, "react" | "results" | "env" | "args" | "fake"> & { readonly model?: Scenario["script"] }
) => {
  const { stdout } = await drive(
    {
      name: "story",
      description: "",
      script: given.model ?? (() => []),
      args: given.args ?? [],
      env: {
        PATH: process.env["PATH"] ?? "",
        FAKE_CLAUDE_SCRIPT: JSON.stringify({ turns: given.fake, coalesce: true, version }),
        ...given.env
      },
      ...given.react !== undefined && { react: given.react },
      ...given.results !== undefined && { results: given.results }
    },
    path,
    version
  )
  return wordsOf(stdout)
}

describe.each(recordedVersions)("fake-claude tells what claude %s tells", async (version) => {
  const cli = await realCli(version)
  const why = cli._tag === "found" ? "" : ` (skipped: ${cli.reason})`
  for (const [name, { args = ["--allowedTools=Bash"], without, ...one }] of Object.entries(cases)) {
    it.skipIf(cli._tag !== "found")(`${name}${why}`, async () => {
      if (cli._tag !== "found") return
      const given = { ...one, args: ["--replay-user-messages", ...args] }
      const words = await Promise.all([cli.path, fake].map((path) => told(version, path, given)))
      const [real, played] = words.map((list) => list.filter((word) => without?.test(word) !== true))
      expect(real?.length).toBeGreaterThan(3)
      expect(played).toEqual(real)
    }, 90_000)
  }

  it.each(Object.keys(recorded))("%s, as it was recorded", async (name) => {
    const path = fileURLToPath(new URL(`../../../test/recordings/${name}-${version}/stdout.ndjson`, import.meta.url))
    expect(await told(version, fake, recorded[name]!)).toEqual(wordsOf(readFileSync(path, "utf8")))
  }, 30_000)
})
