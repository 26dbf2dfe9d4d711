import { type ClientConfig, createClient } from "ccflow"
import { mkdirSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Line, Plan } from "./fixtures/budget/host.js"
import { fake } from "./fixtures/lifecycle/processes.js"
import { type Hosts, hosts } from "./support/hosts.js"

let world: Hosts<Plan, Line>
beforeAll(async () => {
  world = await hosts<Plan, Line>("budget/host.ts")
})
afterAll(() => world[Symbol.asyncDispose]())

const costUsd = 0.1

/** It is noon there by now, so that no day ends meanwhile. */
const noon = (): string => {
  const ahead = 12 - new Date().getUTCHours()
  return `Etc/GMT${ahead < 0 ? "+" : "-"}${Math.abs(ahead)}`
}

/** A place for the records, and a CLI that leaves a file for each prompt and takes a tenth of a dollar for it. */
const place = (name: string) => {
  const folder = join(world.folder, name)
  const prompts = join(folder, "prompts")
  mkdirSync(prompts, { recursive: true })
  const steps = [
    { writeFile: { path: join(prompts, "$UUID"), content: "$PROMPT" } },
    { init: {} },
    { delay: 20 },
    { text: "fine" },
    { result: { total_cost_usd: costUsd, model_usage_since_last_result: { opus: { costUSD: costUsd } } } }
  ]
  const client = (budget: NonNullable<ClientConfig["budget"]>): ClientConfig => ({
    ...fake({ memory: join(folder, "memory"), match: [{ prompt: "question", steps }] }),
    storagePath: join(folder, "records.db"),
    budget
  })
  return { client, asked: () => readdirSync(prompts).length }
}

describe("programs that share a ledger", () => {
  it("share the budget of a day: what one has spent, the others have not", async () => {
    const { asked, client } = place("shared")
    const config = client({ perDayUsd: 1, timeZone: noon() })
    const both = [world.start({ client: config, queries: 20 }), world.start({ client: config, queries: 20 })]
    await Promise.all(both.map((host) => host.ended))
    const refusals = both.map(({ lines, stderr }) =>
      lines.find(({ refused }) => refused !== undefined)?.refused ?? assert.fail(JSON.stringify(lines) + stderr())
    )
    for (const refused of refusals) {
      assert.deepInclude(refused, { scope: "day", limitUsd: 1 })
      assert.isAtLeast(refused.spentUsd, 1 - 1e-9)
      const hours = ((refused.renewsAt ?? 0) - Date.now()) / 3_600_000
      assert.isTrue(hours > 10 && hours <= 12, `${hours}`)
      assert.include(refused.message, new Date(refused.renewsAt ?? 0).toISOString())
    }
    const answers = both.map(({ lines }) => lines.filter(({ answer }) => answer === "fine").length)
    assert.isTrue(answers.every((count) => count > 0), `each had its part: ${answers.join(" and ")}`)
    // One that was under way in the other program when the last was let through.
    assert.isTrue(asked() === 10 || asked() === 11, `${asked()}`)
    // And whoever comes later, or again after it was restarted.
    const before = asked()
    const late = world.start({ client: config, queries: 1 })
    await late.ended
    assert.deepInclude(late.lines.find(({ refused }) => refused !== undefined)?.refused, { scope: "day", limitUsd: 1 })
    assert.strictEqual(asked(), before)

    await using own = createClient(config)
    const { totalCostUsd } = await own.usage()
    assert.closeTo(totalCostUsd, before * costUsd, 1e-9)
  }, 60_000)

  it("share what a session has spent, whoever goes on with it", async () => {
    const { asked, client } = place("session")
    const config = client({ perSessionUsd: 0.2 })
    await using one = createClient(config)
    const { sessionId } = await one.query("question").result
    await using other = createClient(config)
    await other.query("question", { resume: sessionId }).result
    for (const client of [one, other]) {
      const error = await client.query("question", { resume: sessionId }).result.then(
        () => assert.fail("it was asked"),
        (error: unknown) => error
      )
      assert.deepInclude({ ...Object(error) }, { _tag: "BudgetExceededError", scope: "session", limitUsd: 0.2 })
    }
    assert.strictEqual(asked(), 2)
  }, 60_000)
})
