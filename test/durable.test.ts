import type { TurnRecord } from "@ccflow/core/SessionRecord"
import { Effect, Option } from "effect"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Line, Plan } from "./fixtures/durable/host.js"
import { allTurns, emptyRecord, inFile, recovered } from "./fixtures/durable/records.js"
import { fake } from "./fixtures/lifecycle/processes.js"
import { type Host, type Hosts, hosts } from "./support/hosts.js"

let world: Hosts<Plan, Line>
beforeAll(async () => {
  world = await hosts<Plan, Line>("durable/host.ts")
})
afterAll(() => world[Symbol.asyncDispose]())

const deltas = 20
const deltaDelay = 20
const long = Array.from({ length: deltas }, (_, n) => `word ${n}, `).join("")
const script = (memory: string) => ({
  memory,
  match: [
    { prompt: "short", steps: [{ init: {} }, { text: "short answer" }, { result: {} }] },
    {
      prompt: "tool",
      steps: [
        { init: {} },
        { text: "before the tool" },
        { tool: { name: "Bash", input: { command: "true" }, ms: 60 } },
        { text: ", after the tool" },
        { result: {} }
      ]
    },
    { prompt: "long", steps: [{ init: {} }, { text: long, deltas, deltaDelay }, { result: {} }] }
  ]
})
const answers: Readonly<Record<string, string>> = {
  short: "short answer",
  tool: "before the tool, after the tool",
  long
}

/** What comes out of a number is the same each time. */
const random = (seed: number) => () => {
  seed = seed + 0x6D2B79F5 | 0
  let x = Math.imul(seed ^ seed >>> 15, 1 | seed)
  x = x + Math.imul(x ^ x >>> 7, 61 | x) ^ x
  return ((x ^ x >>> 14) >>> 0) / 2 ** 32
}

describe("a host that is killed", () => {
  it(
    "at any of 50 moments loses no completed turn, leaves none that claims to run, and keeps what was seen of it",
    async () => {
      const seed = Number(process.env["CCFLOW_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
      const count = { kills: 0, done: 0, cut: 0, seen: 0 }
      const path = join(world.folder, "killed.db")
      const client = { ...fake(script(join(world.folder, "memory"))), includePartialMessages: true }

      /** One session, which each host takes over from the one before. */
      const lane = async (kills: number, next: () => number) => {
        let sessionId: string | undefined
        const done: Array<string> = []
        for (let n = 0; n < kills; n++) {
          const host = world.start({
            path,
            client,
            ...(sessionId === undefined ? {} : { resume: sessionId }),
            prompts: ["short", "tool", "short", "long", "tool", "long"]
          })
          const moment = 2 + Math.floor(next() * 60)
          await host.said("that a turn begins", ({ prompt }) => prompt !== undefined)
          await host.said("enough", () => host.lines.length > moment)
          await sleep(next() * 30)
          await host.kill()
          count.kills++
          sessionId = host.lines.find(({ session }) => session !== undefined)?.session ?? sessionId
          done.push(...host.lines.flatMap((line) => line.done ?? []))
          await recovered(path)
          const turns = await allTurns(path, sessionId ?? "")
          assert.deepStrictEqual(lost(done, turns), [])
          assert.deepStrictEqual(turns.filter(({ status }) => status === "running"), [])
          for (const turn of turns) {
            const answer = answers[String(turn.prompt)] ?? ""
            if (turn.status === "completed") assert.strictEqual(turn.seen, answer)
            else {
              assert.strictEqual(turn.status, "cut")
              assert.isTrue(answer.startsWith(turn.seen), `${turn.seen} is not what was said`)
            }
          }
          const last = turns.at(-1)
          if (last?.status === "cut") {
            count.cut++
            if (last.seen !== "") count.seen++
            const least = kept(host, last.turnId)
            assert.isTrue(last.seen.startsWith(least), `"${last.seen}" lacks some of "${least}"`)
          }
        }
        count.done += done.length
        return sessionId ?? ""
      }

      const lanes = [random(seed), random(seed + 1)]
      const told = await Promise.all(lanes.map((next) => lane(25, next))).catch((error: unknown) => {
        throw new Error(`CCFLOW_TEST_SEED=${seed}: ${error instanceof Error ? error.stack : String(error)}`)
      })
      for (const sessionId of told) {
        const record = await inFile(path, ({ get }) => Effect.map(get(sessionId), Option.getOrThrow))
        const completed = (await allTurns(path, sessionId)).filter(({ status }) => status === "completed")
        assert.strictEqual(record.turnCount, completed.length)
        assert.strictEqual(
          record.usage.outputTokens,
          completed.reduce((sum, { usage }) => sum + usage!.outputTokens, 0)
        )
      }
      assert.strictEqual(count.kills, 50)
      assert.isAbove(count.done, 0)
      assert.isAbove(count.seen, 0)
      console.log(`${JSON.stringify(count)}, seed ${seed}`)
    },
    240_000
  )
})

const lost = (done: ReadonlyArray<string>, turns: ReadonlyArray<TurnRecord>) => {
  const completed = new Set(turns.flatMap(({ status, turnId }) => status === "completed" ? [turnId] : []))
  return done.filter((turnId) => !completed.has(turnId))
}

/** What the host's own consumer had of the turn, but for what came so late that it need not be on record yet. */
const kept = ({ lines }: Host<Line>, turnId: string): string => {
  const from = lines.findIndex(({ prompt }) => prompt === turnId)
  const seen = lines.slice(from)
  const tool = seen.findLastIndex((line) => line.tool !== undefined)
  const [every, slack] = [250, 250]
  const until = (seen.at(-1)?.at ?? 0) - every - slack
  const upTo = Math.max(tool, seen.findLastIndex(({ at }) => at <= until))
  return seen.slice(0, upTo + 1).map(({ text = "" }: Line) => text).join("")
}

describe("a host that begins where another was killed", () => {
  it("says which turn was cut, once, and nothing of those that were completed", async () => {
    const path = join(world.folder, "begins.db")
    const client = { ...fake(script(join(world.folder, "memory-begins"))), includePartialMessages: true }
    const first = world.start({ path, client, prompts: ["short", "long"] })
    const { session: resume = "" } = await first.said("its session", ({ session }) => session !== undefined)
    await first.said("an answer", ({ done }) => done !== undefined)
    await first.said("some of the next one", ({ text }) => text?.startsWith("word") === true)
    await first.kill()
    const [, cut = ""] = first.lines.flatMap(({ prompt }) => prompt ?? [])

    for (const expected of [[cut], []]) {
      const next = world.start({ path, client, resume, prompts: [] })
      const { recovered } = await next.said("what was cut", (line) => line.recovered !== undefined)
      assert.deepStrictEqual(recovered, expected)
      await next.ended
    }
    const turns = await allTurns(path, resume)
    assert.deepStrictEqual(turns.map(({ status }) => status), ["completed", "cut"])
  }, 60_000)
})

describe("a session that two hosts want", () => {
  it(
    "belongs to the first; the second is told who has it and until when, and has it when the first is dead",
    async () => {
      const path = join(world.folder, "wanted.db")
      const client = fake(script(join(world.folder, "memory-wanted")))
      const first = world.start({ path, client, prompts: ["short"], stay: true })
      const { session: resume = "" } = await first.said("its session", ({ session }) => session !== undefined)
      await first.said("its answer", ({ done }) => done !== undefined)
      const second = world.start({ path, client, resume, prompts: ["short"] })
      const { error } = await second.said("that it may not", (line) => line.error !== undefined)
      assert.deepInclude(error, { _tag: "SessionBusyError", sessionId: resume })
      assert.isTrue(error?.holder?.startsWith(`${first.process.pid}@`))
      assert.isAbove(error?.until ?? 0, Date.now() + 10_000)
      assert.strictEqual(second.lines.filter(({ prompt }) => prompt !== undefined).length, 0)
      await second.ended

      await first.kill()
      const third = world.start({ path, client, resume, prompts: ["short"] })
      await third.said("its answer", ({ done }) => done !== undefined)
      await third.ended
      const turns = await allTurns(path, resume)
      assert.deepStrictEqual(turns.map(({ status }) => status), ["completed", "completed"])
      assert.strictEqual(new Set(turns.map(({ holder }) => holder)).size, 2)
      const record = await inFile(path, ({ get }) => Effect.map(get(resume), Option.getOrThrow))
      assert.deepInclude(record, { status: "closed", turnCount: 2, title: "short" })
    },
    60_000
  )
})

describe("a record whose folder is gone", () => {
  it("says so when its session is used", async () => {
    const path = join(world.folder, "gone.db")
    const client = fake(script(join(world.folder, "memory-gone")))
    const cwd = join(world.folder, "gone")
    const resume = "b0a1c2d3-0000-4000-8000-000000000001"
    await inFile(path, ({ save }) => save(emptyRecord(resume, { cwd, turnCount: 1 })))
    const host = world.start({ path, client, resume, prompts: ["short"] })
    const { error } = await host.said("why not", (line) => line.error !== undefined)
    assert.deepInclude(error, { _tag: "CliSpawnError", reason: "CwdMissing" })
    assert.deepStrictEqual(await allTurns(path, resume), [])
    await host.ended
  }, 60_000)
})
