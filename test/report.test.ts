import { UsageLedger, type UsageSum } from "@ccflow/core/UsageLedger"
import * as Effect from "effect/Effect"
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import type { Browser, Page } from "playwright-core"
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "vitest"
import { noChromium, startChromium } from "./support/Chromium.js"
import { commandBundle } from "./support/commandBundle.js"
import { runScript } from "./support/programs.js"
import { hostile, insertHistory, playSessions, storesIn } from "./support/reportStore.js"

const now = Date.now()
const storage = () => join(folder, "sessions.db")

const run = (...args: ReadonlyArray<string>) =>
  runScript(command, args, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TZ: "UTC", XDG_DATA_HOME: join(folder, "data") }
  })

const ccflow = (...args: ReadonlyArray<string>) => run("report", ...args)

const ledger = (filter: Parameters<UsageLedger["Type"]["total"]>[0] = {}): Promise<UsageSum> =>
  Effect.runPromise(
    Effect.provide(Effect.flatMap(UsageLedger, ({ total }) => total(filter)), storesIn(storage()))
  )

const command = await commandBundle()
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ccflow-report-"))
  await playSessions(storage(), join(folder, "memory"))
  await Effect.runPromise(Effect.provide(insertHistory(now), storesIn(storage())))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

describe("ccflow report", () => {
  it("makes one file for its owner, and replaces none unless it is told to", async () => {
    const path = join(folder, "once.html")
    const made = await ccflow("--storage", storage(), "-o", path)
    assert.deepStrictEqual(made, { code: 0, stdout: "", stderr: "" })
    assert.strictEqual((await stat(path)).mode & 0o777, 0o600)
    const first = await readFile(path, "utf8")
    const again = await ccflow("--storage", storage(), "--output", path)
    assert.deepStrictEqual([again.code, again.stdout], [2, ""])
    assert.include(again.stderr, "--force")
    assert.strictEqual(await readFile(path, "utf8"), first)
    assert.strictEqual((await ccflow("--storage", storage(), "-o", path, "--force")).code, 0)
  })

  it("leaves out what was not asked for, and prompts where that is asked for", async () => {
    const { stdout } = await ccflow("--storage", storage(), "-o", "-", "--no-prompts", "--since=3d")
    assert.include(stdout, "<!doctype html>")
    assert.notInclude(stdout, "Mend")
    assert.notInclude(stdout, "evil")
    const [, json = ""] = /id="data">(.*)<\/script>/.exec(stdout) ?? []
    const data = JSON.parse(json) as { readonly days: ReadonlyArray<string>; readonly sessions: ReadonlyArray<unknown> }
    assert.isAtMost(data.days.length, 4)
    assert.isAtMost(data.sessions.length, 12)
    const whole = (await ccflow("--storage", storage(), "-o", "-")).stdout
    assert.include(whole, "Why does the test fail?")
    // What was said beside it is nowhere.
    for (const said of ["the-secret-content", "npm test", "secret.txt", "The clock is real"]) {
      assert.notInclude(whole, said)
    }
  })

  it("says that nothing is kept yet and how something comes to be, as usage does, and makes neither page nor store", async () => {
    const page = join(folder, "nothing.html")
    for (const [file, ...args] of [["named.db", "--storage", "named.db"], ["data/ccflow/sessions.db"]] as const) {
      const missing = await ccflow(...args, "-o", page)
      assert.deepStrictEqual([missing.code, missing.stdout], [1, ""])
      assert.include(missing.stderr, `nothing is kept yet in ${join(folder, file)}`)
      assert.include(missing.stderr, "storagePath")
      assert.deepStrictEqual(await run("usage", ...args), missing)
    }
    for (const path of [page, join(folder, "data"), join(folder, "named.db")]) {
      assert.isFalse(await stat(path).then(() => true, () => false), path)
    }
  })

  it("says what is wrong", async () => {
    const noTime = await ccflow("--storage", storage(), "--until", "soon")
    assert.deepStrictEqual([noTime.code, /--until: "soon" is no time/.test(noTime.stderr)], [2, true])
    await writeFile(join(folder, "text.db"), "no database at all, but long enough to be looked at".repeat(20))
    assert.strictEqual((await ccflow("--storage", join(folder, "text.db"), "-o", "-")).code, 1)
    const noName = await ccflow("--storage", " ")
    assert.deepStrictEqual([noName.code, /--storage: it names no file/.test(noName.stderr)], [2, true])
  })
})

describe.skipIf(noChromium !== undefined)(
  `the page in Chromium${noChromium === undefined ? "" : ` (skipped: ${noChromium})`}`,
  () => {
    let browser: Browser | undefined
    let path: string
    const troubles: Array<string> = []
    const open = async (
      { colorScheme = "light", file = path, width = 1280 }: {
        readonly colorScheme?: "light" | "dark"
        readonly file?: string
        readonly width?: number
      } = {}
    ): Promise<Page> => {
      const page = await browser!.newPage({ viewport: { width, height: 900 }, colorScheme, timezoneId: "UTC" })
      page.on("console", (message) => troubles.push(message.text()))
      page.on("pageerror", (error) => troubles.push(String(error)))
      page.on("dialog", (dialog) => troubles.push(dialog.message()))
      page.on("request", (request) => request.url() === pathToFileURL(file).href || troubles.push(request.url()))
      await page.goto(pathToFileURL(file).href)
      await page.locator("h1").waitFor()
      return page
    }
    /** A session's course is drawn when it is opened, of which the browser tells later. */
    const filled = (page: Page) =>
      page.waitForFunction(() =>
        [...document.querySelectorAll(".sessions details[open]")].every((session) => session.querySelector(".inside"))
      )
    const value = async (page: Page, card: string): Promise<number> =>
      Number(await page.locator(`#card-${card}`).getAttribute("data-value"))
    const figures = async (page: Page) => ({ cost: await value(page, "cost"), tokens: await value(page, "tokens") })
    const equal = async (page: Page, sum: UsageSum) => {
      const { cost, tokens } = await figures(page)
      assert.closeTo(cost, sum.costUsd, 1e-9)
      assert.strictEqual(
        tokens,
        sum.inputTokens + sum.outputTokens + sum.cacheReadInputTokens + sum.cacheCreationInputTokens
      )
    }

    beforeAll(async () => {
      browser = await startChromium()
      path = join(folder, "page.html")
      assert.strictEqual((await ccflow("--storage", storage(), "-o", path)).code, 0)
    })
    afterAll(() => browser?.close())
    beforeEach(() => {
      troubles.length = 0
    })

    it("asks for nothing, has nothing to complain of, and its figures are the ledger's", async () => {
      await using page = await open()
      await equal(page, await ledger())
      assert.isAbove(await value(page, "cost"), 1)
      assert.match(await page.locator("#card-cost").innerText(), /^\$\d+\.\d\d$/)
      assert.strictEqual(await page.locator("canvas").count(), 6)
      for (const canvas of await page.locator("canvas").all()) {
        // Something is drawn.
        assert.isAbove(
          await canvas.evaluate((node: HTMLCanvasElement) =>
            node.getContext("2d")!.getImageData(0, 0, node.width, node.height).data.filter((part) => part > 0).length
          ),
          1_000
        )
        assert.match(await canvas.getAttribute("aria-label") ?? "", /^\w[\w ]+\. ./)
      }
      assert.deepStrictEqual(troubles, [])
    })

    it("shows other figures, charts and sessions for another model, tag, time or session", async () => {
      await using page = await open()
      const model = "claude-sonnet-4-5-20250929"
      await page.getByLabel("Model", { exact: true }).selectOption({ label: model })
      await equal(page, await ledger({ model }))
      await page.getByLabel("Tag", { exact: true }).selectOption({ label: "docs" })
      await equal(page, await ledger({ model, tag: "docs" }))
      await page.getByRole("button", { name: "Show everything" }).click()
      await equal(page, await ledger())
      await page.getByLabel("Tag", { exact: true }).selectOption({ label: "nightly" })
      await equal(page, await ledger({ tag: "nightly" }))
      const label = await page.locator("#cost-by-day canvas").getAttribute("aria-label")
      await page.getByRole("button", { name: "Show everything" }).click()
      assert.notStrictEqual(await page.locator("#cost-by-day canvas").getAttribute("aria-label"), label)

      await page.getByLabel("Time", { exact: true }).selectOption({ label: "The last 7 days" })
      const madeAt = await page.evaluate(() =>
        Number(/"madeAt":(\d+)/.exec(document.getElementById("data")?.textContent ?? "")?.[1])
      )
      const midnight = new Date(madeAt).setUTCHours(0, 0, 0, 0)
      await equal(page, await ledger({ since: midnight - 6 * 24 * 60 * 60_000 }))
      await page.getByLabel("Time", { exact: true }).selectOption({ label: "From, to…" })
      const day = new Date(midnight - 3 * 24 * 60 * 60_000)
      for (const side of ["From", "To"]) {
        await page.getByLabel(side, { exact: true }).fill(day.toISOString().slice(0, 10))
      }
      await equal(page, await ledger({ since: day.getTime(), until: day.getTime() + 24 * 60 * 60_000 }))
      await page.getByRole("button", { name: "Show everything" }).click()

      const before = await page.locator(".sessions > li").count()
      await page.locator("summary", { hasText: "Why does the test fail?" }).click()
      await page.getByRole("button", { name: "Only this session" }).click()
      assert.deepStrictEqual([before, await page.locator(".sessions > li").count()], [25, 1])
      assert.strictEqual(await value(page, "calls"), 2)
      assert.isBelow(await value(page, "cost"), 0.2)
      assert.deepStrictEqual(troubles, [])
    })

    it("has each chart as a table that says the same", async () => {
      await using page = await open()
      await page.locator("#by-model summary").click()
      const rows = await page.locator("#by-model tbody tr").allInnerTexts()
      const { costUsd } = await ledger({ model: "claude-opus-4-1-20250805" })
      assert.isTrue(rows[0]?.startsWith(`claude-opus-4-1-20250805\t$${costUsd.toFixed(2)}`), rows[0])
      // What nobody has told is not nothing.
      assert.isTrue(rows.some((row) => row.startsWith(`${hostile.model}\tunknown`)), rows.join("\n"))
    })

    it("draws a session's turns, tools, retries and waits, as they were", async () => {
      await using page = await open()
      await page.locator("summary", { hasText: "Why does the test fail?" }).click()
      await filled(page)
      const real = await page.locator(".sessions details[open] .row").allInnerTexts()
      assert.match(real.join("\n"), /^Why does the test fail\?/)
      assert.isTrue(real.some((row) => /^Bash\s+failed [\d.]+ m?s$/.test(row)), real.join("\n"))
      assert.isTrue(real.some((row) => /^Read\s+[\d.]+ m?s$/.test(row)), real.join("\n"))
      assert.isTrue(real.some((row) => /^Mend it\./.test(row)), real.join("\n"))

      const kinds = new Set<string>()
      for (let more = 0; more < 2; more++) await page.getByRole("button", { name: "Show more" }).click()
      await page.evaluate(() => {
        for (const session of document.querySelectorAll<HTMLDetailsElement>(".sessions details")) session.open = true
      })
      await filled(page)
      const rows = await page.evaluate(() =>
        [...document.querySelectorAll(".turns .row")].map((row) => {
          const bar = row.querySelector(".bar")!.getBoundingClientRect()
          const track = row.querySelector(".track")!.getBoundingClientRect()
          const within = bar.left >= track.left - 1 && bar.right <= track.right + 1.5
          return { names: [...row.classList], drawn: within && bar.width > 2.9 }
        })
      )
      assert.isAbove(rows.length, 300)
      assert.isTrue(rows.every(({ drawn }) => drawn))
      for (const { names } of rows) for (const name of names) kinds.add(name)
      assert.includeMembers([...kinds], [
        "turn",
        "tool",
        "retry",
        "wait",
        "permission",
        "mark",
        "failure",
        "interrupted"
      ])
      assert.deepStrictEqual(troubles, [])
    })

    it("shows hostile names as text, and runs nothing of them", async () => {
      await using page = await open()
      await page.getByLabel("Tag", { exact: true }).selectOption({ label: hostile.tag })
      const title = await page.locator(".sessions .title").innerText()
      assert.strictEqual(title, hostile.title.replace(/[\u202E\u2028]/g, "").replace(/\s+/g, " "))
      await page.locator(".sessions summary").click()
      await filled(page)
      const rows = (await page.locator(".turns .row").allInnerTexts()).join("\n")
      assert.include(rows, hostile.tool)
      assert.include(rows, `May ${hostile.tool} run?`)
      assert.match(rows, /Wait for the limit five_hour\s+no end known/)
      assert.strictEqual(await page.title(), "ccflow report")
      assert.strictEqual(await page.locator("img, svg, b, iframe, body script:not([type])").count(), 1)
      assert.deepStrictEqual(troubles, [])
      // Also what would get past that: the policy lets no script and no request in.
      await page.evaluate(() => {
        const script = document.createElement("script")
        script.textContent = "document.title = 'owned'"
        document.body.append(script)
        const image = new Image()
        image.src = "http://127.0.0.1:1/"
        document.body.append(image)
      })
      await page.waitForTimeout(100)
      assert.strictEqual(await page.title(), "ccflow report")
      const [refused, others] = [/Content Security Policy/, /^http:\/\/127.0.0.1:1\/$/].map((what) =>
        troubles.filter((text) => what.test(text)).length
      )
      assert.deepStrictEqual([refused, (refused ?? 0) + (others ?? 0)], [2, troubles.length], String(troubles))
    })

    it("is light or dark as the system is, and the other at a press; text can be read in both", async () => {
      for (const colorScheme of ["light", "dark"] as const) {
        await using page = await open({ colorScheme })
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
        const isDark = async () => luminance(await ground()) < 0.5
        assert.strictEqual(await isDark(), colorScheme === "dark")
        for (let press = 0; press < 2; press++) {
          const contrast = await page.evaluate(() =>
            [...document.querySelectorAll("h1, .quiet, .facts, dt, dd, label, th, .took, button:enabled")].map(
              (node) => {
                let under: Element | null = node
                while (under !== null && getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") {
                  under = under.parentElement
                }
                return [getComputedStyle(node).color, getComputedStyle(under ?? document.body).backgroundColor] as const
              }
            )
          )
          for (const [ink, ground] of contrast) {
            const [dark = 0, light = 0] = [luminance(ink), luminance(ground)].sort((one, other) => one - other)
            assert.isAtLeast((light + 0.05) / (dark + 0.05), 4.5, `${ink} on ${ground}`)
          }
          await page.getByRole("button", { name: /^Show it/ }).click()
          assert.strictEqual(await isDark(), (colorScheme === "dark") === (press === 1))
        }
      }
      assert.deepStrictEqual(troubles, [])
    })

    it("fits on a phone, and is used by keyboard alone", async () => {
      await using page = await open({ width: 360 })
      for (const summary of (await page.locator(".sessions summary").all()).slice(0, 4)) {
        await summary.focus()
        await page.keyboard.press("Enter")
      }
      for (const summary of await page.locator(".panel > details > summary").all()) await summary.click()
      const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
      assert.isAtMost(content ?? 0, width ?? 0)
      assert.strictEqual(await page.locator(".sessions details[open]").count(), 4)
      await page.reload()
      const reached = new Set<string>()
      for (let press = 0; press < 12; press++) {
        await page.keyboard.press("Tab")
        const at = await page.evaluate(() => {
          const node = document.activeElement
          return node === null ? undefined : { id: node.id, outline: getComputedStyle(node).outlineStyle }
        })
        assert.strictEqual(at?.outline, "solid", at?.id)
        reached.add(at?.id ?? "")
      }
      assert.includeMembers([...reached], ["theme", "range", "model", "tag", "session"])
      const unnamed = await page.evaluate(() =>
        [...document.querySelectorAll("select, input, button, [role=img], [role=region]")].filter((node) =>
          (node.getAttribute("aria-label") ?? node.textContent ?? "") === "" &&
          document.querySelector(`label[for="${node.id}"]`) === null
        ).length
      )
      assert.strictEqual(unnamed, 0)
    })

    it("says that there is nothing, where there is nothing", async () => {
      const file = join(folder, "none.html")
      // Listing them makes a store.
      assert.strictEqual((await run("sessions", "list")).code, 0)
      await ccflow("-o", file)
      await using page = await open({ file })
      assert.match(await page.locator("main").innerText(), /^Nothing yet\n/)
      assert.deepStrictEqual(troubles, [])
    })
  }
)

/** As it is defined for contrast. */
const luminance = (colour: string): number => {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map((part) => {
    const value = Number(part) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
