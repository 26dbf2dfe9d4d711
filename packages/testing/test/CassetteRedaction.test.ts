import * as Claude from "@ccflow/core/Claude"
import { CliProcess, defaultGraces } from "@ccflow/core/CliProcess"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { play, read, record, tape } from "./cassettes.js"

/** What nobody may find in a cassette, each by where it is planted. */
const planted = {
  apiKey: "sk-ant-api03-Planted0Key0In0Text",
  variable: "value-of-a-variable-of-the-cli",
  hostVariable: "token-of-the-hosts-environment",
  given: "given-to-the-recorder",
  github: "ghp_abcdefghijklmnopqrst0123456789",
  jwt: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
  bearer: "b3a4r5e6r7-of-a-header",
  password: "correct-horse-battery",
  mcp: "header-of-an-mcp-server",
  settings: "helper-of-the-settings",
  email: "ada@lovelace.example",
  organization: "Analytical Engines Ltd",
  account: "acc-4711-0815",
  home: "/home/ada-l",
  cwd: "/home/ada-l/engine",
  dashed: "-home-ada-l-engine",
  tmp: "/var/folders/zz/T",
  uuid: "12345678-1234-4321-8765-123456789abc",
  session: "87654321-4321-4234-8765-cba987654321",
  toolu: "toolu_01AbCdEfGhIjKlMnOpQrStUv",
  request: "req_011CQabcdefghijklmnopqrs",
  task: "b7f3k9x2q",
  own: "Project Babbage"
}

/** As it stands in texts: a secret that looks like any other word is known by what is before it. */
const everything = [
  `a key ${planted.apiKey} and ${planted.github} and ${planted.jwt}`,
  `${planted.variable}, ${planted.hostVariable} and ${planted.given}`,
  `Authorization: Bearer ${planted.bearer}`,
  `DB_PASSWORD=${planted.password}`,
  `{"x-api-key": "${planted.mcp}"}`,
  `<${planted.email}> in ${planted.home}, ${planted.cwd}/src/a.ts and ${planted.home}/.claude/projects/${planted.dashed}/x`,
  `${planted.tmp}/out.txt, ${planted.uuid}, ${planted.session}, ${planted.toolu}, ${planted.request}`,
  JSON.stringify(`JSON in a text:\n${planted.cwd}\t${planted.home}`),
  `of ${planted.own} and ${planted.account}`
].join("\n")

const frames: FakeCli.Turn = [
  FakeCli.emit({
    type: "system",
    subtype: "init",
    session_id: planted.session,
    uuid: planted.uuid,
    cwd: planted.cwd,
    model: "opus",
    tools: [],
    memory_paths: { auto: `${planted.home}/.claude/projects/${planted.dashed}/memory/` },
    account: {
      email: planted.email,
      organization: planted.organization,
      organizationUuid: planted.account,
      apiKeySource: "ANTHROPIC_API_KEY"
    },
    [`of ${planted.apiKey}`]: 1
  }),
  FakeCli.emit({
    type: "assistant",
    parent_tool_use_id: null,
    request_id: planted.request,
    message: {
      id: "msg_1",
      model: "opus",
      content: [
        { type: "text", text: everything },
        {
          type: "tool_use",
          id: planted.toolu,
          name: "Bash",
          input: { command: `curl -H 'Authorization: Bearer ${planted.bearer}'`, password: planted.password }
        }
      ]
    }
  }),
  FakeCli.emit({ type: "system", subtype: "task_started", task_id: planted.task, description: `is ${planted.task}` }),
  FakeCli.emit({ type: "system", subtype: "task_notification", task_id: planted.task, status: "completed" }),
  FakeCli.raw(`no JSON at all, but ${everything.replaceAll("\n", " ")}\n`),
  FakeCli.result({ result: everything, errors: [everything], duration_ms: 12_345, ttft_ms: 678 }),
  FakeCli.stderr(`stderr: ${everything}\n`)
]

const environment = ConfigProvider.fromMap(
  new Map([["HOME", planted.home], ["TMPDIR", planted.tmp], ["ANTHROPIC_AUTH_TOKEN", planted.hostVariable]])
)

const rules = {
  secrets: [planted.given],
  redact: (text: string) => text.replaceAll(planted.own, "Project X").replaceAll(planted.account, "account")
}

const ask = Claude.text(everything, {
  model: "opus",
  systemPrompt: everything,
  cwd: planted.cwd,
  env: { MY_TOKEN: planted.variable, ANTHROPIC_MODEL: everything },
  mcpServers: { x: { type: "http", url: "http://127.0.0.1", headers: { Authorization: planted.mcp } } },
  settings: { apiKeyHelper: planted.settings },
  extraArgs: { note: everything }
})

describe("a secret", () => {
  it.scoped("is in no cassette, wherever it was said, and what is played is found by it all the same", () =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* record(file, [frames], ask, rules)
      const text = yield* read(file)
      assert.include(text, "\"type\":\"result\"")
      assert.include(text, "\"stderr\":\"stderr: ")
      for (const [name, value] of Object.entries(planted)) assert.notInclude(text, value, name)
      for (const measured of ["12345", "678"]) assert.notInclude(text, `:${measured}`)
      // What is no secret is still there.
      for (const kept of ["\"apiKeySource\":\"ANTHROPIC_API_KEY\"", "/home/user/project", "Project X"]) {
        assert.include(text, kept)
      }
      assert.include(yield* play(file, ask, rules), "a key <redacted> and <redacted> and <redacted>")
    }).pipe(Effect.withConfigProvider(environment)))

  it.scoped("is in no cassette when it is the answer to a question of the CLI", () =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* record(
        file,
        { start: [FakeCli.exit(0)] },
        Effect.scoped(Effect.gen(function*() {
          const cli = yield* (yield* CliProcess).open({
            command: "claude",
            args: [
              "--mcp-config",
              `{"env":{"X":"${planted.mcp}"}}`,
              `--settings=${planted.settings}`,
              `say ${planted.apiKey}`
            ],
            env: { MY_SECRET: planted.variable },
            files: [{ flag: "--agents", content: everything }],
            graces: defaultGraces
          })
          const response = { subtype: "success", request_id: planted.uuid, response: { mcp_response: everything } }
          yield* cli.send(`${JSON.stringify({ type: "control_response", response })}\n`)
          yield* cli.send(`a prompt that is no frame: ${everything}`)
          yield* cli.closeInput
        })),
        rules
      )
      const text = yield* read(file)
      assert.include(text, "a prompt that is no frame")
      for (const [name, value] of Object.entries(planted)) assert.notInclude(text, value, name)
    }).pipe(Effect.withConfigProvider(environment)))
})
