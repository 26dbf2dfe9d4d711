import * as AgentOptions from "@ccflow/core/AgentOptions"
import { CCFlowError } from "@ccflow/core/ClaudeError"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc, Schema } from "effect"

const person = { type: "object", properties: { name: { type: "string" } } }
const uuid = "11111111-2222-4333-8444-555555555555"

/** Wrong options with what is said about them. */
const wrong: ReadonlyArray<readonly [options: unknown, said: string]> = [
  [null, "options: it must be an object"],
  [{ nonsense: 1 }, "nonsense: there is no such option"],
  [{ model: 5 }, "model: it must be text"],
  [{ model: " " }, "model: it must not be empty"],
  [{ model: "--print" }, "model: it must not start with \"-\""],
  [{ model: "a\0b" }, "model: it must not hold a NUL character"],
  [{ model: "opus", fallbackModel: ["haiku", "opus"] }, "fallbackModel: it is the model itself"],
  [{ fallbackModel: ["haiku", "-p"] }, "fallbackModel.1: it must not start with \"-\""],
  [{ permissionMode: "bypass" }, "permissionMode: it must be \"default\" or"],
  [{ allowedTools: "Bash" }, "allowedTools: it must be a list of texts"],
  [{ allowedTools: ["Bash", "--tools=x"] }, "allowedTools.1: it must not start with \"-\""],
  [{ skills: ["a)b"] }, "skills.0: it must not hold spaces, commas or brackets"],
  [{ maxTurns: 0 }, "maxTurns: it must be a whole number above 0"],
  [{ maxTokens: -1 }, "maxTokens: it must be a whole number above 0"],
  [{ maxBudgetUsd: Number.POSITIVE_INFINITY }, "maxBudgetUsd: it must be a number above 0"],
  [{ effort: "huge" }, "effort: it must be \"low\" or \"medium\" or \"high\" or \"xhigh\" or \"max\""],
  [{ thinking: "enabled" }, "thinking: it must be \"adaptive\" or \"disabled\" or an object"],
  [{ thinking: { budgetTokens: 0 } }, "thinking.budgetTokens: it must be a whole number above 0"],
  [{ timeout: "soon" }, "timeout: it must be a duration above 0"],
  [{ timeout: 0 }, "timeout: it must be a duration above 0"],
  [{ context: { amount: 5n } }, "context: it cannot be written as JSON"],
  [{ env: { DEBUG: 5 } }, "env.DEBUG: it must be text"],
  [{ env: { "A=B": "x" } }, "env: the name of a variable"],
  [{ env: { A: "x\0y" } }, "env.A: it must not hold a NUL character"],
  [{ mcpServers: { docs: {} } }, "mcpServers.docs.command: it is missing"],
  [{ mcpServers: { docs: { type: "http" } } }, "mcpServers.docs.url: it is missing"],
  [{ mcpServers: { docs: { type: "ftp" } } }, "mcpServers.docs.type: it must be \"stdio\" or \"http\" or \"sse\""],
  [{ mcpServers: { "-docs": { command: "x" } } }, "mcpServers: it must not have names that are empty"],
  [{ agents: { critic: { description: "d" } } }, "agents.critic.prompt: it is missing"],
  [{ agents: { critic: { description: "d", prompt: "p", size: 5n } } }, "agents: it cannot be written as JSON"],
  [{ settings: "{nope" }, "settings: it begins like JSON and is none"],
  [{ settings: "/a/file", sandbox: { enabled: true } }, "sandbox: it cannot be added to a settings file"],
  [{ settingSources: ["home"] }, "settingSources.0: it must be \"user\" or \"project\" or \"local\""],
  [{ isolated: true, settingSources: [] }, "settingSources: isolated reads no settings files"],
  [{ sessionId: "mine" }, "sessionId: it must be a UUID"],
  [{ sessionId: uuid, resume: uuid }, "sessionId: a session that goes on keeps its id"],
  [{ resume: "-c" }, "resume: it must not start with \"-\""],
  [{ resume: uuid, continueSession: true }, "continueSession: it cannot be combined with resume"],
  [{ forkSession: true }, "forkSession: there is nothing to branch from"],
  [{ resumeSessionAt: uuid }, "resumeSessionAt: there is no session to shorten"],
  [{ resume: uuid, resumeDropsTurn: uuid }, "resumeDropsTurn: it says nothing without resumeSessionAt"],
  [{ extraArgs: { "--bare": null } }, "extraArgs: it must name flags without their dashes"],
  [{ extraArgs: { "bare=x": null } }, "extraArgs: it must name flags without their dashes"],
  [{ extraArgs: { "output-format": "text" } }, "extraArgs.output-format: it is how ccflow talks to the CLI"],
  [{ outputSchema: "string" }, "outputSchema: it must be an Effect Schema without requirements, or"],
  [{ outputSchema: Schema.String }, "outputSchema: it must describe an object"],
  [{ outputSchema: { type: "array" } }, "outputSchema: it must describe an object"],
  [
    { outputSchema: Schema.Union(Schema.Struct({ a: Schema.Int }), Schema.Struct({ b: Schema.Int })) },
    "outputSchema: it must describe an object"
  ],
  [{ outputSchema: Schema.Struct({ at: Schema.DateFromSelf }) }, "outputSchema: it has no JSON Schema"]
]

describe("a wrong option", () => {
  it.each(wrong.map(([options, said]) => ({ options, said })))("is named: $said", ({ options, said }) => {
    const refused = AgentOptions.decode(options)
    assert.isTrue(Either.isLeft(refused))
    if (Either.isRight(refused)) return
    assert.isTrue(refused.left instanceof CCFlowError)
    assert.strictEqual(refused.left._tag, "InvalidOptionsError")
    assert.match(refused.left.message, /^Invalid option \S+: [^\n]+\.( [^\n]+[.!?])$/)
    assert.include(refused.left.message, said)
  })

  it("is told without showing its value", () => {
    const secrets: ReadonlyArray<unknown> = [
      { systemPrompt: ["S3CRET"] },
      { env: { TOKEN: ["S3CRET"] } },
      { mcpServers: { docs: { type: "http", url: "https://x", headers: { Authorization: ["S3CRET"] } } } },
      { mcpServers: { docs: { command: "x", env: { KEY: { value: "S3CRET" } } } } },
      { agents: { critic: { description: "d", prompt: ["S3CRET"] } } },
      { timeout: "S3CRET" },
      { settings: ["S3CRET"] },
      { settings: "{S3CRET" },
      { maxTurns: "S3CRET" },
      { effort: "S3CRET" }
    ]
    for (const options of secrets) {
      const refused = AgentOptions.decode(options)
      assert.isTrue(Either.isLeft(refused), JSON.stringify(options))
      if (Either.isLeft(refused)) assert.notInclude(JSON.stringify(refused.left) + refused.left.message, "S3CRET")
    }
  })
})

describe("merged options", () => {
  it("later ones win, undefined says nothing, env is merged name by name", () => {
    assert.deepStrictEqual(
      AgentOptions.merge(
        { model: "opus", maxTurns: 2, env: { A: "1", B: "1" } },
        { model: undefined, maxTurns: 3, env: { B: undefined, C: "2" } },
        { model: "haiku" }
      ),
      { model: "haiku", maxTurns: 3, env: { A: "1", B: undefined, C: "2" } }
    )
  })
})

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const Tree: Schema.Schema<Tree> = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Tree> => Tree))
}).annotations({ identifier: "a/b~c" })

describe("an output schema", () => {
  it("has an object at its root, also when it has a name, is a class or refers to itself", () => {
    class Person extends Schema.Class<Person>("Person")({ born: Schema.Date, tree: Tree }) {}
    for (const schema of [Tree, Person, Schema.Struct({ tree: Tree })]) {
      const json = AgentOptions.toJsonSchema(schema)
      assert.strictEqual(json["type"], "object")
      assert.notProperty(json, "$ref")
      assert.notProperty(json, "$schema")
      assert.hasAnyKeys(json["$defs"], ["a/b~c"])
    }
    assert.deepInclude(AgentOptions.toJsonSchema(Person), {
      properties: { born: { $ref: "#/$defs/Date" }, tree: { $ref: "#/$defs/a~1b~0c" } }
    })
  })

  it("given as JSON Schema is handed on as it is", () => {
    assert.strictEqual(AgentOptions.toJsonSchema(person), person)
  })
})

describe("options that are looked at one by one", () => {
  const some = (...values: ReadonlyArray<unknown>) => fc.constantFrom(...values)
  const given = fc.record({
    model: some("opus", "", "-p", 5, undefined),
    maxTurns: some(3, 0, "3"),
    timeout: some("1 minute", 5, -1),
    allowedTools: some(["Bash"], ["-x"], "Bash"),
    env: some({ A: "x", B: undefined }, { A: 1 }),
    mcpServers: some({ docs: { command: "x", other: 1 } }, { docs: {} }),
    thinking: some("adaptive", { budgetTokens: 5 }, { budgetTokens: 5, other: 1 }),
    nonsense: fc.constant(1)
  }, { requiredKeys: [] })

  it("are taken, refused and copied as the schema of them all does it", () =>
    fc.assert(fc.property(given, (options) => {
      const whole = Schema.validateEither(AgentOptions.QueryOptions, { onExcessProperty: "error" })(options)
      const told = AgentOptions.decode(options)
      assert.strictEqual(Either.isRight(told), Either.isRight(whole))
      if (Either.isLeft(told) || Either.isLeft(whole)) return
      assert.deepStrictEqual(told.right, whole.right)
      if (told.right.allowedTools !== undefined) assert.notStrictEqual(told.right.allowedTools, options.allowedTools)
    })))
})
