import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { readFileSync } from "node:fs"
import { type Changes, changesBetween, isEmpty } from "../scripts/cli-watch/diff.js"
import { declaredIn } from "../scripts/cli-watch/executable.js"
import { type Fields, fieldsOf } from "../scripts/cli-watch/fields.js"
import { commandsIn, flagsIn } from "../scripts/cli-watch/help.js"
import { isKnown, untyped } from "../scripts/cli-watch/known.js"
import { answersIn } from "../scripts/cli-watch/probe.js"
import { firstReport, reportOf, summaryOf } from "../scripts/cli-watch/report.js"
import * as Shape from "../scripts/cli-watch/shape.js"
import { suites } from "../scripts/cli-watch/suite.js"
import { scenarios } from "../scripts/record/scenarios.js"
import { recordedVersions } from "./support/RealCli.js"

const line = (frame: object) => `${JSON.stringify(frame)}\n`

const run = (over: Partial<Shape.RecordedRun> = {}): Shape.RecordedRun => ({
  name: "one",
  exitCode: 0,
  signal: null,
  stdin: [],
  stdout: "",
  ...over
})

const objects = fc.dictionary(fc.constantFrom("a", "b", "c", "claude-one"), fc.jsonValue({ maxDepth: 3 }))

describe("the fields of values", () => {
  it("say what is in all of them, what is in some, and each type", () => {
    assert.deepStrictEqual(
      fieldsOf([{ a: 1, b: { c: null } }, { a: "x", b: { c: true, d: [1, "y"] } }]),
      { a: "number|string", b: "object", "b.c": "boolean|null", "b.d": "array?", "b.d[]": "number|string" }
    )
  })

  it("tell items apart by their type, and take names that are data for one", () => {
    const content = [{ type: "text", text: "x" }, { type: "tool_use", id: "t", input: { command: "ls" } }]
    const modelUsage = { "claude-one": { cost: 1 }, "claude-two": { cost: 2 } }
    assert.deepStrictEqual(fieldsOf([{ by_type: { helper: 1 }, content, modelUsage }, { by_type: { other: 2 } }]), {
      by_type: "object",
      "by_type.*": "number",
      content: "array?",
      "content[text]": "object",
      "content[text].text": "string",
      "content[text].type": "string",
      "content[tool_use]": "object",
      "content[tool_use].id": "string",
      // What the model has filled in is not the CLI's.
      "content[tool_use].input": "object",
      "content[tool_use].type": "string",
      modelUsage: "object?",
      "modelUsage.*": "object",
      "modelUsage.*.cost": "number"
    })
  })

  it("count names that are data as one field, however many an object has of them", () => {
    const wanted = { models: "object", "models.*": "number?" }
    assert.deepStrictEqual(fieldsOf([{ models: { "claude-one": 1, "claude-two": 2 } }, { models: {} }]), wanted)
  })

  it("do not depend on the order of the values, nor on how often one is there", () => {
    fc.assert(fc.property(fc.array(objects, { minLength: 1 }), (values) => {
      const once = JSON.stringify(fieldsOf(values))
      assert.strictEqual(JSON.stringify(fieldsOf(values.toReversed())), once)
      assert.strictEqual(JSON.stringify(fieldsOf([...values, ...values])), once)
    }))
  })

  it("never lose a path by more values", () => {
    fc.assert(fc.property(fc.array(objects), fc.array(objects), (some, more) => {
      const all = fieldsOf([...some, ...more])
      for (const path of Object.keys(fieldsOf(some))) assert.property(all, path)
    }))
  })
})

describe("the shape of recorded runs", () => {
  it("names frames by what tells them apart, and an answer by what was asked", () => {
    const event = (event: object) => ({ type: "stream_event", event })
    const stdin = [line({ type: "control_request", request_id: "r", request: { subtype: "interrupt" } })]
    const frames = [
      { type: "system", subtype: "init" },
      { type: "assistant", message: { model: "<synthetic>" } },
      { type: "assistant", message: { model: "claude-one" } },
      event({ type: "content_block_delta", delta: { type: "text_delta" } }),
      event({ type: "content_block_start", content_block: { type: "text" } }),
      { type: "control_response", response: { subtype: "success", request_id: "r" } },
      { type: "control_request", request: { subtype: "hook_callback", input: { hook_event_name: "Stop" } } },
      { type: "result", subtype: "success" }
    ]
    const stdout = `noise\n{"cut\n${frames.map(line).join("")}`
    assert.sameMembers(Object.keys(Shape.recordedShape([run({ stdin, stdout })]).frames), [
      "system/init",
      "assistant/synthetic",
      "assistant",
      "stream_event/content_block_delta/text_delta",
      "stream_event/content_block_start/text",
      "control_response/interrupt",
      "control_request/hook_callback/Stop",
      "result/success"
    ])
  })

  it("says how each run ends", () => {
    const failed = { type: "result", subtype: "success", is_error: true, terminal_reason: "api_error" }
    const ends = (over: Partial<Shape.RecordedRun>) => Shape.endingOf(run(over))
    assert.strictEqual(ends({ exitCode: 1, stdout: line(failed) }), "exit 1: success api_error error")
    assert.strictEqual(ends({ exitCode: null, signal: "SIGKILL" }), "SIGKILL: no result")
    const good = line({ type: "result", subtype: "success", is_error: false })
    assert.strictEqual(ends({ stdout: good + good }), "exit 0: success, success")
  })
})

const shape = (over: Partial<Shape.Shape> = {}): Shape.Shape => ({
  version: "1.0.0",
  frames: { result: { type: "string", cost: "number" } },
  runs: { text: "exit 0: success" },
  flags: { claude: ["--model <model>"] },
  hiddenFlags: ["--hidden"],
  requests: { interrupt: { still: "array" }, stop: "unsupported" },
  declared: { requests: ["interrupt"], system: ["init"] },
  environment: ["CLAUDE_A"],
  ...over
})

const changesIn = (changes: Changes) => {
  const { answers, fields, ...rest } = changes
  return [...Object.values(rest), ...Object.values(answers), ...Object.values(fields)].filter((one) => !isEmpty(one))
}

describe("what has changed between two shapes", () => {
  it("is nothing between a shape and itself, however it was stored", () => {
    for (const version of Shape.keptVersions()) {
      const kept = Shape.readShape(version)
      assert.deepStrictEqual(changesIn(changesBetween(kept, JSON.parse(JSON.stringify(kept)))), [])
    }
    assert.include(reportOf(shape(), shape()), "Nothing has changed.")
  })

  it("is told for each thing that can change, and for it alone", () => {
    const cases: ReadonlyArray<readonly [Partial<Shape.Shape>, ReadonlyArray<string>]> = [
      [{ frames: { ...shape().frames, news: { a: "string" } } }, ["`news` arrives as `Unknown`", "new: `news`"]],
      [{ frames: {} }, ["vanished: `result`"]],
      [
        { frames: { result: { type: "string", cost: "number?", more: "null" } } },
        ["`result` has fields that no schema names: `more`", "new: `more`", "changed: `cost: number → number?`"]
      ],
      [
        {
          frames: { result: { type: "string", cost: "number", more: "object", "more.a": "null", "more.a[]": "null" } }
        },
        ["`result` has fields that no schema names: `more`", "new: `more` (and 2 in it)"]
      ],
      [{ runs: { text: "exit 1: success" } }, ["changed: `text: exit 0: success → exit 1: success`"]],
      [{ flags: { claude: [] } }, ["vanished: `claude --model <model>`"]],
      [{ hiddenFlags: ["--other"] }, ["new: `--other`", "vanished: `--hidden`"]],
      [{ requests: { ...shape().requests, stop: {} } }, ["changed: `stop: unsupported → success`"]],
      [{ requests: { ...shape().requests, interrupt: {} } }, ["vanished: `still`"]],
      [{ declared: { requests: ["interrupt", "ask"], system: [] } }, ["new: `ask`", "vanished: `init`"]],
      [{ environment: [] }, ["vanished: `CLAUDE_A`"]]
    ]
    for (const [over, wanted] of cases) {
      const told = reportOf(shape(), shape(over)).split("\n").filter((row) =>
        /^ *\* (new|vanished|changed|.* (has fields|arrives))/.test(row)
      )
      assert.deepStrictEqual(told.map((row) => row.replace(/^ *\* /, "")), wanted)
    }
  })

  it("is the same backwards, with new and vanished exchanged", () => {
    const fields = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("string", "number?"))
    const frames = fc.dictionary(fc.constantFrom("result", "user", "other"), fields)
    fc.assert(fc.property(frames, frames, (one, other) => {
      const [left, right] = [shape({ frames: one }), shape({ frames: other })]
      const there = changesBetween(left, right)
      const back = changesBetween(right, left)
      assert.sameMembers([...there.kinds.added], [...back.kinds.gone])
      assert.sameMembers(Object.keys(there.fields), Object.keys(back.fields))
      for (const [kind, { added, changed }] of Object.entries(there.fields)) {
        assert.sameMembers([...added], [...back.fields[kind]?.gone ?? []])
        assert.lengthOf(back.fields[kind]?.changed ?? [], changed.length)
      }
    }))
  })
})

describe("what the schemas know of a frame", () => {
  it("is the kinds that do not arrive as Unknown", () => {
    const known = ["result/success", "assistant/synthetic", "system/init", "system/status", "system/hook_started"]
    for (const kind of [...known, "tool_progress", "control_request/mcp_message"]) assert.isTrue(isKnown(kind), kind)
    for (const kind of ["system/no_such", "no_such", "no_such/init"]) assert.isFalse(isKnown(kind), kind)
  })

  it("is the fields they name, also within records, lists and what may be null", () => {
    const fields: Fields = {
      "is_error": "boolean",
      "modelUsage.*.costUSD": "number",
      "modelUsage.*.news": "object",
      "modelUsage.*.news.deep": "string",
      "permission_denials[].tool_name": "string",
      "structured_output": "object",
      "usage.input_tokens": "number",
      "usage.news": "number"
    }
    assert.deepStrictEqual(untyped("result/success", fields), ["modelUsage.*.news", "usage.news"])
  })

  it("is every kind that the supported versions were recorded to print", () => {
    for (const version of recordedVersions) {
      const kinds = Object.keys(Shape.readShape(version).frames)
      assert.deepStrictEqual(kinds.filter((kind) => !isKnown(kind)), [])
      assert.notInclude(firstReport(Shape.readShape(version)), "arrives as")
    }
  })
})

describe("what a CLI gives away", () => {
  const help = [
    "Usage: claude [options]",
    "",
    "Options:",
    "  -c, --continue                 Go on, as with --resume",
    "  --allowedTools, --allowed-tools <tools...>",
    "      Comma or space-separated",
    "  --model <model>                Model (default:",
    "                                 --model)",
    "",
    "Commands:",
    "  mcp                            Servers",
    "  plugin|plugins [options]       Plugins",
    "  help [command]                 Help"
  ].join("\n")

  it("is the flags and commands of its help, and not what is said about them", () => {
    const flags = ["-c, --continue", "--allowedTools, --allowed-tools <tools...>", "--model <model>"]
    assert.deepStrictEqual(flagsIn(help), flags)
    assert.deepStrictEqual(commandsIn(help), ["mcp", "plugin"])
  })

  const source = [
    `x(new Q("--max-turns <turns>","Stop").hideHelp());has("--not-declared");`,
    `a({type:E("system"),subtype:E("news"),x:s()});b({subtype:H.literal("ask_me"),y:s()});`,
    `c({subtype:E("success"),request_id:s()});process.env.CLAUDE_CODE_NEWS;env["CLAUDE_READ"];MY_CLAUDE_CODE;CLAUDE_CODE_NEWSQ;`
  ].join("")
  const wanted = {
    flags: ["--max-turns <turns>"],
    system: ["news"],
    requests: ["ask_me"],
    environment: ["CLAUDE_CODE_NEWS", "CLAUDE_READ"]
  }

  it("is the names in its executable, wherever the text is cut", async () => {
    for (let at = 0; at <= source.length; at++) {
      const parts = async function*() {
        yield Buffer.from(source.slice(0, at))
        yield Buffer.from(source.slice(at))
      }
      assert.deepStrictEqual(await declaredIn(parts()), wanted)
    }
  })

  it("is what it answers when asked", () => {
    const ask = (id: string, subtype: string) => line({ type: "control_request", request_id: id, request: { subtype } })
    const answer = (response: object) => line({ type: "control_response", response })
    const stdin = [ask("1", "get"), ask("2", "old"), ask("3", "bad"), ask("4", "odd"), ask("5", "silent")]
    const stdout = [
      answer({ subtype: "success", request_id: "1", response: { a: 1 } }),
      answer({ subtype: "error", request_id: "2", error: "Unsupported control request subtype: old" }),
      answer({ subtype: "error", request_id: "3", error: "No", error_code: "invalid_request" }),
      answer({ subtype: "error", request_id: "4", error: "/home/somebody/x is none" })
    ].join("")
    assert.deepStrictEqual(answersIn({ stdin, stdout }), {
      get: { a: "number" },
      old: "unsupported",
      bad: "error invalid_request",
      odd: "error",
      silent: "no answer"
    })
  })
})

describe("the kept shapes", () => {
  it("are in the order of their versions", () => {
    const versions = ["2.1.9", "2.1.10", "2.2.0", "10.0.0"]
    assert.deepStrictEqual(versions.toReversed().sort(Shape.compareVersions), versions)
    assert.includeMembers([...Shape.keptVersions()], [...recordedVersions])
  })

  it.each(recordedVersions)("of claude %s is that of its recordings, which are of every scenario", (version) => {
    const { frames, runs } = Shape.recordedShape(Shape.ownRuns(version))
    const kept = Shape.readShape(version)
    assert.deepStrictEqual({ frames: kept.frames, runs: kept.runs }, { frames, runs })
    assert.sameMembers(Object.keys(runs), scenarios.map(({ name }) => name))
  })

  it("are what the table in the README is made of", () => {
    const readme = readFileSync(new URL("../scripts/cli-watch/README.md", import.meta.url), "utf8")
    assert.include(readme, summaryOf(Shape.keptVersions().map(Shape.readShape)))
  })
})

describe("the suites of the real CLI", () => {
  it("are found by what they import, also through helpers", () => {
    const found = suites()
    assert.includeMembers([...found], ["test/realcli-query.test.ts", "test/realcli-session-turns.test.ts"])
    assert.notInclude(found, "test/cli-watch.test.ts")
  })
})
