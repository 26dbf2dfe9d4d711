import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, beforeAll, describe, it } from "vitest"
import { fakeClaude } from "./support/bundle.js"
import { startMessagesApi, text } from "./support/MessagesApi.js"

const run = promisify(execFile)
const root = fileURLToPath(new URL("..", import.meta.url))
const packages = ["core", "node", "sql", "anthropic", "testing", "ccflow"] as const
const bin = (path: string) => join(root, "node_modules", path)
const nameOf = (name: (typeof packages)[number]) => name === "ccflow" ? name : `@ccflow/${name}`

const tarballs = new Map<(typeof packages)[number], string>()

/** An empty folder with the packed packages installed, and what they depend on. */
let consumer: string
beforeAll(async () => {
  await run(process.execPath, ["scripts/build.mjs"], { cwd: root })
  consumer = await mkdtemp(join(tmpdir(), "ccflow-consumer-"))
  const modules = join(consumer, "node_modules")
  await mkdir(join(modules, "@ccflow"), { recursive: true })
  for (
    const dependency of [
      "effect",
      "@effect",
      "@types",
      "vitest",
      "@vitest",
      "fast-check",
      "@standard-schema",
      "@toon-format"
    ]
  ) {
    await symlink(join(root, "node_modules", dependency), join(modules, dependency)).catch(() => {})
  }
  const { stdout } = await run("npm", ["pack", "--json", "--workspaces", "--pack-destination", consumer], {
    cwd: root,
    maxBuffer: 1 << 26
  })
  const packed = JSON.parse(stdout) as ReadonlyArray<{ readonly name: string; readonly filename: string }>
  for (const name of packages) {
    const tarball = join(consumer, packed.find((each) => each.name === nameOf(name))?.filename ?? "is not packed")
    const installed = join(modules, nameOf(name))
    await mkdir(installed)
    await run("tar", ["xzf", tarball, "-C", installed, "--strip-components=1"])
    tarballs.set(name, tarball)
  }
  await writeFile(join(consumer, "package.json"), JSON.stringify({ type: "module" }))
}, 240_000)

const node = (...args: ReadonlyArray<string>) =>
  run(process.execPath, [...args], {
    cwd: consumer,
    env: { PATH: process.env["PATH"], CCFLOW_CLI_PATH: fakeClaude }
  })

describe("the tarball of", () => {
  it.each(packages)("%s has nothing wrong that publint finds", async (name) => {
    const { stdout } = await run(process.execPath, [bin("publint/src/cli.js"), tarballs.get(name)!, "--strict"], {
      cwd: consumer
    }).catch((error: { readonly stdout: string }) => error)
    assert.include(stdout, "All good!")
  })

  // By Node 10's rules no sub-path can be had, and there was no ESM; CommonJS loads ESM by `require` from Node 20.19 on.
  it.each(packages)("%s has the types of what it is, for NodeNext and for bundlers", async (name) => {
    const args = [tarballs.get(name)!, "--profile", "esm-only", "--format", "json"]
    const { stdout } = await run(process.execPath, [bin("@arethetypeswrong/cli/dist/index.js"), ...args], {
      cwd: consumer,
      maxBuffer: 1 << 26
    })
    const { analysis } = JSON.parse(stdout) as { readonly analysis: { readonly types: { readonly kind: string } } }
    assert.strictEqual(analysis.types.kind, "included")
  })
})

describe("a program in an empty folder with the packed packages", () => {
  it("asks through the facade, by import and by require", async () => {
    const ask = `ccflow.querySimple("hi").then((text) => console.log(text, new ccflow.MaxTurnsError({ numTurns: 1, ` +
      `facts: { exitCode: 0, signal: null, argv: [], stderrTail: "", sessionId: "", frames: 0 }, hint: "" }) instanceof ccflow.CCFlowError))`
    await writeFile(join(consumer, "ask.mjs"), `import * as ccflow from "ccflow"\n${ask}`)
    assert.strictEqual((await node("ask.mjs")).stdout, "echo: hi true\n")
    if (process.features.require_module !== true) return
    await writeFile(join(consumer, "ask.cjs"), `const ccflow = require("ccflow")\n${ask}`)
    assert.strictEqual((await node("ask.cjs")).stdout, "echo: hi true\n")
  })

  it("composes the Effect services", async () => {
    await writeFile(
      join(consumer, "effect.mjs"),
      `import * as Claude from "@ccflow/core/Claude"
       import { NodeClaude } from "@ccflow/node"
       import { Effect } from "effect"
       console.log(await Effect.runPromise(Claude.text("hi").pipe(Effect.provide(NodeClaude.layer))))`
    )
    assert.strictEqual((await node("effect.mjs")).stdout, "echo: hi\n")
  })

  it("falls back to the API, from the facade's bundle and from the packages", async () => {
    await using api = await startMessagesApi([text("from the API")])
    await writeFile(
      join(consumer, "fallback.mjs"),
      `import { createClient } from "ccflow"
       const client = createClient({ cliPath: "/nowhere", fallback: { when: ["cliMissing"], apiKey: "k", baseUrl: "${api.url}" } })
       console.log(await client.querySimple("hi"))
       await client.close()`
    )
    assert.strictEqual((await node("fallback.mjs")).stdout, "from the API\n")
    await writeFile(
      join(consumer, "anthropic.mjs"),
      `import * as Claude from "@ccflow/core/Claude"
       import * as ClaudeConfig from "@ccflow/core/ClaudeConfig"
       import { AnthropicClaude } from "@ccflow/anthropic"
       import { Effect, Layer, Redacted } from "effect"
       const api = AnthropicClaude.layer({ apiKey: Redacted.make("k"), baseUrl: "${api.url}" })
       console.log(await Effect.runPromise(Claude.text("hi").pipe(Effect.provide(Layer.provide(api, ClaudeConfig.layer)))))`
    )
    // The client comes with the package; the others' dependencies are there as peers.
    for (const name of ["@anthropic-ai", "standardwebhooks", "@opentelemetry", "@stablelib", "fast-sha256"]) {
      await symlink(join(root, "node_modules", name), join(consumer, "node_modules", name)).catch(() => {})
    }
    assert.strictEqual((await node("anthropic.mjs")).stdout, "from the API\n")
  })

  it("tests itself with the fake CLI", async () => {
    await writeFile(
      join(consumer, "fake.mjs"),
      `import { FakeCli, fakeClient } from "ccflow/testing"
       import { OverloadedError } from "ccflow"
       const error = FakeCli.apiError({ status: 529, code: "overloaded", type: "overloaded_error", message: "Busy" })
       const client = fakeClient([error])
       console.log(await client.querySimple("hi").catch((error) => error instanceof OverloadedError))`
    )
    assert.strictEqual((await node("fake.mjs")).stdout, "true\n")
  })

  it("catches an error of each family by its class, by its tag and as what all of them are", async () => {
    await writeFile(
      join(consumer, "errors.mjs"),
      `import * as ccflow from "ccflow"
       import { FakeCli, fakeClient } from "ccflow/testing"
       const ask = (turn, options) => fakeClient([turn]).querySimple("hi", options)
       const ended = (subtype) => [FakeCli.init(), FakeCli.result({ subtype, is_error: true })]
       const failing = {
         CliNotFoundError: () => ccflow.querySimple("hi", { cliPath: "/nowhere" }),
         MissingResultError: () => ask([FakeCli.init(), FakeCli.exit(0)]),
         CliTimeoutError: () => ask([FakeCli.init(), FakeCli.hang], { timeout: 50 }),
         InvalidOptionsError: () => ccflow.querySimple("hi", { maxTurns: 0 }),
         AuthenticationError: () => ask(FakeCli.loggedOut),
         UsageLimitError: () => ask(FakeCli.usageLimit({ resetsAt: Date.now() + 60_000 })),
         MaxTurnsError: () => ask(ended("error_max_turns")),
         BudgetExceededError: () => ask(ended("error_max_budget_usd")),
         SessionClosedError: async () => {
           const session = new ccflow.Session()
           await session.close()
           return session.sendMessage("hi").result
         },
         RateLimitExceededError: async () => {
           const limiter = new ccflow.CombinedLimiter(1, false, { maxWait: 0 })
           await limiter.limit(() => 1)
           return limiter.limit(() => 2)
         },
         UnknownModelError: async () => ccflow.calculateCost("nobody's", { inputTokens: 1 })
       }
       for (const [tag, run] of Object.entries(failing)) {
         const error = await run().catch((error) => error)
         const caught = error instanceof ccflow[tag] && error instanceof ccflow.CCFlowError && error instanceof Error
         if (!caught || error._tag !== tag || typeof error.hint !== "string") console.log(tag, error)
       }
       console.log("done")`
    )
    assert.strictEqual((await node("errors.mjs")).stdout, "done\n")
  })

  it("is told of an error that it does not catch in a screen, without the prompt", async () => {
    await writeFile(
      join(consumer, "uncaught.mjs"),
      `import { querySimple } from "ccflow"
       await querySimple("a secret", { cliPath: "/nowhere", systemPrompt: "a secret" })`
    )
    const error = await node("uncaught.mjs").then(() => assert.fail("it ended well"), (error: unknown) => error)
    const { stderr } = error as { readonly stderr: string }
    assert.include(stderr, `CliNotFoundError: No Claude Code CLI at "/nowhere". Install Claude Code`)
    assert.notInclude(stderr, "a secret")
    assert.isBelow(stderr.length, 4_000)
  })

  it("ends by itself when it has its answer, also with a session, a pool and listeners that it leaves open", async () => {
    await writeFile(
      join(consumer, "left.mjs"),
      `import { createClient, query, Session } from "ccflow"
       const client = createClient()
       client.events.onAny(() => {})
       console.log((await new Session().sendMessage("a").result).result)
       console.log((await client.pool.wait(await client.pool.submit("b"))).result)
       for await (const message of query("c")) if (message._tag === "Text") break
       query("never looked at")`
    )
    assert.strictEqual((await node("left.mjs")).stdout, "echo: a\necho: b\n")
  })

  it("runs the command", async () => {
    assert.strictEqual((await node("node_modules/ccflow/dist/bundle/main.js", "hi")).stdout, "echo: hi\n")
    const { version } = JSON.parse(await readFile(join(root, "packages/ccflow/package.json"), "utf8")) as {
      readonly version: string
    }
    assert.strictEqual((await node("node_modules/ccflow/dist/bundle/main.js", "--version")).stdout.trim(), version)
  })

  it("keeps sessions where SQLite's driver is installed, and elsewhere says what to install", async () => {
    await writeFile(
      join(consumer, "kept.mjs"),
      `import { createClient } from "ccflow"
       import { stat } from "node:fs/promises"
       const client = createClient({ storagePath: "sessions.db" })
       const session = client.session()
       const said = await session.sendMessage("hi").result.catch((error) => error)
       console.log(said.result ?? said._tag + " " + said.reason + " " + /npm install .*better-sqlite3/.test(said.hint))
       console.log(await client.querySimple("hi"))
       await client.close()
       console.log(await stat("sessions.db").then(({ size }) => size > 0, () => false))`
    )
    const driver = join(consumer, "node_modules", "better-sqlite3")
    assert.strictEqual((await node("kept.mjs")).stdout, "SessionStoreError Unavailable true\necho: hi\nfalse\n")
    for (const name of ["better-sqlite3", "bindings", "file-uri-to-path"]) {
      await symlink(join(root, "node_modules", name), join(driver, "..", name))
    }
    assert.strictEqual((await node("kept.mjs")).stdout, "echo: hi\necho: hi\ntrue\n")
  })

  it("loads nothing of SQLite before a session needs it", async () => {
    await writeFile(
      join(consumer, "lazy.mjs"),
      `import { querySimple } from "ccflow"
       const loaded = process.report.getReport().sharedObjects.filter((path) => path.includes("sqlite"))
       console.log(await querySimple("hi"), loaded.length)`
    )
    assert.strictEqual((await node("lazy.mjs")).stdout, "echo: hi 0\n")
  })

  it("cannot reach what is internal", async () => {
    await writeFile(join(consumer, "internal.mjs"), `import "@ccflow/core/internal/run"`)
    const error = await node("internal.mjs").then(() => assert.fail("it could"), (error: unknown) => error)
    assert.include(String(error), "ERR_PACKAGE_PATH_NOT_EXPORTED")
  })

  it("type-checks the READMEs' examples, and those of their own, with skipLibCheck off", async () => {
    const pages = await Promise.all(
      ["README.md", "packages/testing/README.md"].map((page) => readFile(join(root, page), "utf8"))
    )
    const blocks = pages.flatMap((page) => [...page.matchAll(/```ts\n(.*?)```/gs)].map((found) => found[1]!))
    assert.isAtLeast(blocks.length, 30)
    for (const [index, block] of blocks.entries()) await writeFile(join(consumer, `readme-${index}.ts`), block)
    await cp(join(root, "examples"), join(consumer, "examples"), { recursive: true })
    await writeFile(
      join(consumer, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          target: "ES2022",
          lib: ["ES2023", "ESNext.Disposable", "DOM"],
          module: "NodeNext",
          strict: true,
          exactOptionalPropertyTypes: true,
          skipLibCheck: false,
          noEmit: true,
          types: ["node"]
        },
        include: ["readme-*.ts", "examples"]
      })
    )
    const result = await run(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", "."], {
      cwd: consumer
    })
      .catch((error: { readonly stdout: string }) => error)
    assert.strictEqual(result.stdout, "")
  })

  it("carries the licences of what is bundled, and no path of this machine", async () => {
    const bundle = join(consumer, "node_modules/ccflow/dist/bundle")
    assert.include(await readFile(join(bundle, "THIRD-PARTY-LICENSES.txt"), "utf8"), "effect")
    assert.sameMembers(await readdir(join(bundle, "report-page")), ["script.js", "style.css"])
    for (const file of await readdir(bundle, { recursive: true })) {
      if (!/\.\w+$/.test(file)) continue
      assert.notInclude(await readFile(join(bundle, file), "utf8"), root)
    }
  })
})
