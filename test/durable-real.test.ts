import { Effect, Option } from "effect"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import type { Line, Plan } from "./fixtures/durable/host.js"
import { emptyRecord, inFile, recovered } from "./fixtures/durable/records.js"
import { childrenOf, eventually, linux, lives } from "./fixtures/lifecycle/processes.js"
import { type Hosts, hosts } from "./support/hosts.js"
import * as Api from "./support/MessagesApi.js"
import { type SandboxHome, sandboxHome } from "./support/RealCli.js"
import { describeRealCli } from "./support/realCliBench.js"
import { sandboxedOptions } from "./support/throughLibrary.js"

await describeRealCli("a session on record", ({ path: cli, version }) => {
  let world: Hosts<Plan, Line>
  let home: SandboxHome
  beforeAll(async () => {
    world = await hosts<Plan, Line>("durable/host.ts")
    home = await sandboxHome()
  })
  afterAll(async () => {
    await world[Symbol.asyncDispose]()
    await home[Symbol.asyncDispose]()
  })

  const clientOf = (api: Api.MessagesApi) =>
    sandboxedOptions({ path: cli, url: api.url, home: home.path, extra: { CLAUDE_CODE_MAX_RETRIES: "0" } })
  const record = (path: string, sessionId: string) =>
    inFile(path, ({ get }) => Effect.map(get(sessionId), Option.getOrThrow))
  const turns = (path: string, sessionId: string) =>
    inFile(path, (repository) => Effect.map(repository.turns(sessionId), (page) => page.turns))

  it("remembers in another process when its host was killed, with its model, mode and folder", async () => {
    await using api = await Api.startMessagesApi([Api.text("Nice to meet you, Ada."), Api.text("Ada.")])
    const path = join(world.folder, "remembers.db")
    const client = clientOf(api)
    const session = { cwd: home.project, model: "claude-haiku-4-5", permissionMode: "plan" } as const
    const first = world.start({ path, client, session, prompts: ["My name is Ada."], stay: true })
    const { session: resume = "" } = await first.said("its session", (line) => line.session !== undefined)
    await first.said("its answer", ({ done }) => done !== undefined)
    await first.kill()

    const second = world.start({ path, client, resume, prompts: ["What is my name?"] })
    await second.said("its answer", ({ done }) => done !== undefined)
    await second.ended
    const [asked, again] = api.mainRequests()
    assert.include(JSON.stringify(again?.body), "My name is Ada.")
    assert.include(JSON.stringify(again?.body), "Nice to meet you, Ada.")
    assert.deepStrictEqual(
      [asked, again].map((request) => Reflect.get(Object(request?.body), "model")),
      ["claude-haiku-4-5", "claude-haiku-4-5"]
    )
    const kept = await record(path, resume)
    assert.deepInclude(kept, {
      status: "closed",
      title: "My name is Ada.",
      turnCount: 2,
      model: "claude-haiku-4-5",
      cwd: home.project,
      cliVersion: version
    })
    assert.deepInclude(kept.options, { permissionMode: "plan" })
    assert.deepStrictEqual(
      (await turns(path, resume)).map(({ result, status }) => [status, result]),
      [["completed", "Nice to meet you, Ada."], ["completed", "Ada."]]
    )
    const costs = [...first.lines, ...second.lines].flatMap(({ cost }) => cost ?? [])
    assert.strictEqual(costs.length, 2)
    assert.isAbove(Math.min(...costs), 0)
    // The same model, and a longer conversation: it is not the sum of both.
    assert.isBelow(costs[1] ?? 0, 1.9 * (costs[0] ?? 0))
    assert.closeTo(kept.costUsd, (costs[0] ?? 0) + (costs[1] ?? 0), 1e-9)
  }, 120_000)

  it("goes on after its first turn was cut, and the model knows what was asked", async (ctx) => {
    if (!linux) return ctx.skip("needs /proc")
    await using api = await Api.startMessagesApi([
      Api.text("one two three four five six", { delayMs: 150 }),
      Api.text("Gladly.")
    ])
    const path = join(world.folder, "cut.db")
    const client = { ...clientOf(api), cwd: home.project, includePartialMessages: true }
    const first = world.start({ path, client, prompts: ["Count to a hundred."] })
    const { session: resume = "" } = await first.said("its session", (line) => line.session !== undefined)
    await first.said("its first words", ({ text }) => text !== undefined)
    const [left = 0] = childrenOf(first.process.pid ?? 0)
    await first.kill()
    await eventually("what it has left behind is gone", () => !lives(left))
    const [cut] = await recovered(path)
    assert.deepInclude({ ...cut }, { status: "cut", sessionId: resume, prompt: "Count to a hundred." })
    assert.isTrue(cut?.seen !== "" && "one two three four five six".startsWith(cut?.seen ?? "?"))

    const second = world.start({ path, client, resume, prompts: ["Go on, please."] })
    await second.said("its answer", ({ done }) => done !== undefined)
    await second.ended
    assert.include(JSON.stringify(api.mainRequests().at(-1)?.body), "Count to a hundred.")
    assert.deepStrictEqual((await turns(path, resume)).map(({ status }) => status), ["cut", "completed"])
  }, 120_000)

  it("begins where its only turn was cut before the CLI had heard of it", async () => {
    await using api = await Api.startMessagesApi([Api.text("Hello.")])
    const path = join(world.folder, "unheard.db")
    const client = { ...clientOf(api), cwd: home.project }
    const resume = randomUUID()
    await inFile(path, (repository) =>
      Effect.zipRight(
        repository.save(emptyRecord(resume, { cwd: home.project })),
        repository.beginTurn({ turnId: randomUUID(), sessionId: resume, prompt: "never sent", holder: "nobody" })
      ))
    const host = world.start({ path, client, resume, prompts: ["Hello?"] })
    await host.said("its answer", ({ done }) => done !== undefined)
    await host.ended
    assert.deepStrictEqual((await turns(path, resume)).map(({ status }) => status), ["cut", "completed"])
  }, 120_000)
}, { concurrent: true })
