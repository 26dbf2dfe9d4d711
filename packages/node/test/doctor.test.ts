import * as HealthCheck from "@ccflow/core/HealthCheck"
import type { UsageWindow } from "@ccflow/core/UsageLimit"
import { jsonFault } from "@ccflow/node/JsonFault"
import * as NodeDoctor from "@ccflow/node/NodeDoctor"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, TestClock } from "effect"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, vi } from "vitest"
import { liveFinding } from "../src/internal/mcpServers.js"
import { linux, onlyLinux } from "./support.js"

// Real processes, on a machine that may have much else to do.
vi.setConfig({ testTimeout: 30_000 })

const isRoot = process.getuid?.() === 0

const folders: Array<string> = []
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

/** A machine on which nothing is wrong, with folders of its own. */
const machine = () => {
  const root = mkdtempSync(join(tmpdir(), "ccflow-doctor-"))
  folders.push(root)
  const write = (path: string, text: string, mode = 0o644) => {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode })
    return file
  }
  const said = JSON.stringify({
    loggedIn: true,
    authMethod: "claude.ai",
    email: "a@b.example",
    subscriptionType: "max"
  })
  const cli = (path: string, version = "2.1.330", status = said) =>
    write(
      path,
      `#!/bin/sh\nif [ "$1" = --version ]; then echo "${version} (Claude Code)"; else cat <<'END'\n${status}\nEND\nfi\n`,
      0o755
    )
  for (const folder of ["home/.claude", "project", "tmp", "bin"]) mkdirSync(join(root, folder), { recursive: true })
  const settings: Partial<NodeDoctor.Machine> = {
    env: { PATH: `${join(root, "bin")}:/usr/bin:/bin` },
    cwd: join(root, "project"),
    home: join(root, "home"),
    temporary: join(root, "tmp"),
    userId: 1000,
    managedSettings: join(root, "managed.json"),
    memory: { total: 8 * 1024 ** 3, free: 4 * 1024 ** 3 },
    limits: write(
      "limits",
      "Limit   Soft Limit  Hard Limit  Units\nMax processes  4096  9000  processes\nMax open files  1024  4096  files\n"
    )
  }
  return { root, write, cli, settings }
}

type Machine = ReturnType<typeof machine>

/** What is found when these facts of it are otherwise. */
const examined = (
  { settings }: Machine,
  { machine, ...options }: NodeDoctor.DoctorOptions = {}
): Effect.Effect<ReadonlyArray<NodeDoctor.CheckResult>> =>
  Effect.flatMap(NodeDoctor.checks({ ...options, machine: { ...settings, ...machine } }), NodeDoctor.run).pipe(
    Effect.provide(NodeDoctor.layer)
  )

const found = (name: string, machine: Machine, options?: NodeDoctor.DoctorOptions) =>
  Effect.map(
    examined(machine, options),
    (results) => results.find((result) => result.name === name) ?? assert.fail(`there is no check ${name}`)
  )

const env = (machine: Machine, more: Readonly<Record<string, string>>): NodeDoctor.DoctorOptions => ({
  machine: { env: { ...machine.settings.env, ...more } }
})

const has = (
  result: NodeDoctor.CheckResult,
  status: NodeDoctor.CheckResult["status"],
  ...words: ReadonlyArray<string>
) => {
  const text = `${result.detail}\n${result.fix ?? ""}`
  assert.strictEqual(result.status, status, text)
  for (const word of words) assert.include(text, word)
  if (status === "failed" || status === "warning") assert.isNotEmpty(result.fix)
}

describe("a machine on which nothing is wrong", () => {
  it.live("has no problem, and every check says so", () =>
    Effect.gen(function*() {
      const well = machine()
      well.cli("bin/claude")
      well.write("home/.claude.json", JSON.stringify({ oauthAccount: { emailAddress: "a@b.example" } }))
      well.write("project/.mcp.json", JSON.stringify({ mcpServers: { files: { command: "sh" } } }))
      const results = yield* examined(well)
      assert.deepStrictEqual(results.map(({ name, status }) => `${name} ${status}`), [
        "cli ok",
        "version ok",
        "login ok",
        "account ok",
        "variables ok",
        "root ok",
        "nested session ok",
        "node options ok",
        "config files ok",
        "mcp servers ok",
        "disk space ok",
        "limits ok",
        "node ok",
        "usage limits skipped"
      ])
      assert.include(results.find(({ name }) => name === "account")?.detail, "subscription (max) of a@b.example pays")
    }))

  it.live("one with nothing on it is looked at, too", () =>
    Effect.gen(function*() {
      const bare = machine()
      const results = yield* examined(bare, {
        machine: { env: {}, home: "/no/such/home", cwd: "/no/such/folder", limits: "/no/such", temporary: bare.root }
      })
      has(results[0]!, "failed", "there is no claude", "npm install -g")
      assert.deepStrictEqual(results.filter(({ status }) => status === "failed").map(({ name }) => name), ["cli"])
    }))
})

describe("cli", () => {
  it.live("one that another comes before is told, with both versions and which is used", () =>
    Effect.gen(function*() {
      const two = machine()
      const first = two.cli("bin/claude", "2.1.197")
      const second = two.cli("other/claude", "2.1.330")
      has(
        yield* found("cli", two, env(two, { PATH: `${dirname(first)}:${dirname(second)}:/usr/bin:/bin` })),
        "warning",
        `${first} 2.1.197 is used`,
        `${second} 2.1.330 is never used`
      )
    }))

  it.live("another file of the same version is no problem", () =>
    Effect.gen(function*() {
      const two = machine()
      const path = [two.cli("bin/claude"), two.cli("other/claude")].map((file) => dirname(file)).join(":")
      has(yield* found("cli", two, env(two, { PATH: `${path}:/usr/bin:/bin` })), "ok", "other/claude is never used")
    }))

  it.live("a link to the same file is no second CLI", () =>
    Effect.gen(function*() {
      const linked = machine()
      const file = linked.cli("lib/cli")
      symlinkSync(file, join(linked.root, "bin", "claude"))
      mkdirSync(join(linked.root, "again"))
      symlinkSync(file, join(linked.root, "again", "claude"))
      const path = `${join(linked.root, "bin")}:${join(linked.root, "again")}:/usr/bin:/bin`
      has(yield* found("cli", linked, env(linked, { PATH: path })), "ok", ` -> ${file}`, "is used", "is the same file")
    }))

  it.live("a link that leads nowhere, and a file that cannot run, are told; what comes behind is used", () =>
    Effect.gen(function*() {
      const broken = machine()
      symlinkSync("/gone/claude", join(broken.root, "bin", "claude"))
      broken.write("plain/claude", "#!/bin/sh\n")
      const good = broken.cli("good/claude")
      const path = ["bin", "plain", "good"].map((name) => join(broken.root, name)).join(":")
      has(
        yield* found("cli", broken, env(broken, { PATH: `${path}:/usr/bin:/bin` })),
        "warning",
        "a link to /gone/claude, which is not there",
        "chmod +x",
        `${good} 2.1.330 is used`
      )
      has(yield* found("cli", broken), "failed", "a link to /gone/claude")
    }))

  it.live("a file of somebody else's that it is taken for is not to be removed", () =>
    Effect.gen(function*() {
      const named = machine()
      const finding = yield* found("cli", named, env(named, { CCFLOW_CLI_PATH: "/etc/passwd" }))
      has(finding, "failed", "/etc/passwd: it cannot be started: NotExecutable", "Make it executable")
      assert.notInclude(JSON.stringify(finding), "Remove")
    }))

  it.live("is the one that CCFLOW_CLI_PATH names", () =>
    Effect.gen(function*() {
      const named = machine()
      const other = named.cli("elsewhere/my-claude")
      const setting = env(named, { CCFLOW_CLI_PATH: other })
      has(yield* found("cli", named, setting), "ok", `${other} 2.1.330 is used`)
      has(yield* found("version", named, setting), "ok", "2.1.330")
    }))

  it.live("one that ends with an error fails", () =>
    Effect.gen(function*() {
      const bad = machine()
      bad.write("bin/claude", "#!/bin/sh\necho 'GLIBC_2.99 not found' >&2\nexit 127\n", 0o755)
      has(yield* found("cli", bad), "failed", "code 127: GLIBC_2.99 not found")
    }))
})

describe("version, login and account", () => {
  it.live("an older version is a warning", () =>
    Effect.gen(function*() {
      const old = machine()
      old.cli("bin/claude", "2.1.99")
      has(yield* found("version", old), "warning", "2.1.99 is older", "claude update")
    }))

  it.live("nobody logged in fails", () =>
    Effect.gen(function*() {
      const out = machine()
      out.cli("bin/claude", "2.1.330", "{\"loggedIn\":false}")
      has(yield* found("login", out), "failed", "nobody is logged in", "/login")
      has(yield* found("account", out), "skipped", "nobody is logged in")
    }))

  it.live.each(
    [["ANTHROPIC_API_KEY"], ["ANTHROPIC_AUTH_TOKEN"], ["CLAUDE_CODE_OAUTH_TOKEN"]] as const
  )(
    "%s that is used instead of a login is a warning, and its value is told to nobody",
    ([name]) =>
      Effect.gen(function*() {
        const keyed = machine()
        keyed.cli("bin/claude")
        const setting = env(keyed, { [name]: "sk-secret" })
        assert.strictEqual((yield* found("account", keyed, setting)).status, "ok")
        keyed.write("home/.claude.json", JSON.stringify({ oauthAccount: { emailAddress: "a@b.example" } }))
        has(
          yield* found("account", keyed, setting),
          "warning",
          `${name} (from the environment)`,
          "a@b.example",
          "remove"
        )
        assert.notInclude(JSON.stringify(yield* examined(keyed, setting)), "sk-secret")
      })
  )

  it.live("a key that a settings file sets is told with its file", () =>
    Effect.gen(function*() {
      const set = machine()
      set.cli("bin/claude")
      set.write("home/.claude.json", JSON.stringify({ oauthAccount: {} }))
      const file = set.write(
        "project/.claude/settings.json",
        JSON.stringify({ env: { ANTHROPIC_API_KEY: "sk-secret" } })
      )
      has(yield* found("account", set), "warning", `ANTHROPIC_API_KEY (from ${file})`)
    }))

  it.live("another address and a cloud are warnings, and no password of an address is told", () =>
    Effect.gen(function*() {
      const away = machine()
      away.cli("bin/claude")
      const setting = env(away, {
        ANTHROPIC_BASE_URL: "https://me:password@gateway.example:8443/x?key=hidden",
        CLAUDE_CODE_USE_BEDROCK: "1",
        CLAUDE_CODE_USE_VERTEX: "0"
      })
      const result = yield* found("account", away, setting)
      has(result, "warning", "requests go to https://gateway.example:8443", "Amazon Bedrock")
      assert.notMatch(JSON.stringify(result), /password|hidden|Vertex/)
    }))
})

describe("the environment", () => {
  it.live("root is a warning, which says who wants to bypass permissions; not in a sandbox", () =>
    Effect.gen(function*() {
      const root = machine()
      const file = root.write("home/.claude/settings.json", "{\"permissions\":{\"defaultMode\":\"bypassPermissions\"}}")
      has(yield* found("root", root, { machine: { userId: 0 } }), "warning", file, "IS_SANDBOX=1")
      const boxed = { userId: 0, env: { ...root.settings.env, IS_SANDBOX: "1" } }
      has(yield* found("root", root, { machine: boxed }), "ok")
      has(yield* found("root", root, { machine: { userId: 1000 } }), "ok")
      has(yield* found("root", root, { machine: { userId: undefined } }), "skipped")
    }))

  it.live("a session within Claude Code is told, with what is dropped and what is not", () =>
    Effect.gen(function*() {
      const nested = machine()
      has(yield* found("nested session", nested, env(nested, { CLAUDECODE: "1" })), "ok", "without CLAUDECODE")
      has(
        yield* found("nested session", nested, env(nested, { CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: "x" })),
        "warning",
        "without CLAUDECODE",
        "CLAUDE_CODE_SESSION_ID: undefined"
      )
    }))

  it.live("node options are told, because CLIs run without them", () =>
    Effect.gen(function*() {
      const node = machine()
      has(yield* found("node options", node, env(node, { NODE_OPTIONS: "--inspect" })), "warning", "NODE_OPTIONS")
      has(yield* found("node options", node), "ok")
    }))

  it.live("the CLI is asked in the environment that is told, without what is dropped", () =>
    Effect.gen(function*() {
      const seen = machine()
      const file = join(seen.root, "seen")
      seen.write("bin/claude", `#!/bin/sh\nenv > ${file}\necho 2.1.330\n`, 0o755)
      yield* examined(seen, env(seen, { CLAUDECODE: "1", NODE_OPTIONS: "--no-warnings", OF_THE_MACHINE: "yes" }))
      const { readFileSync } = yield* Effect.promise(() => import("node:fs"))
      const text = readFileSync(file, "utf8")
      assert.include(text, "OF_THE_MACHINE=yes")
      assert.notMatch(text, /CLAUDECODE|NODE_OPTIONS|^HOME=/m)
    }))
})

describe("config files", () => {
  it.live.each(
    [
      ["home/.claude.json", "{\n  \"a\": 1,\n}", ":3:1", "comma too many"],
      ["home/.claude.json", "", ":1:1", "empty"],
      ["home/.claude/settings.json", "{\n  \"ü\": nope}", ":2:8", "no value"],
      ["project/.claude/settings.json", "// comment\n{}", ":1:1", "comments"],
      ["project/.claude/settings.local.json", "{\"a\": \"b", ":1:7", "not closed"],
      ["project/.mcp.json", "[]", ":1:1", "no object"],
      ["managed.json", "{\"a\" 1}", ":1:6", "colon"]
    ] as const
  )("%s with %j fails, with the place of the fault", ([path, text, place, words]) =>
    Effect.gen(function*() {
      const faulty = machine()
      const file = faulty.write(path, text)
      has(yield* found("config files", faulty), "failed", `${file}${place}`, words)
    }))

  it.live("all that are broken are told, and those that are whole or empty are not", () =>
    Effect.gen(function*() {
      const files = machine()
      files.write("home/.claude.json", "\uFEFF{}")
      files.write("home/.claude/settings.json", "\n")
      has(yield* found("config files", files), "ok", ".claude.json", "settings.json")
      files.write("project/.mcp.json", "{")
      files.write("project/.claude/settings.json", "nonsense")
      const { detail } = yield* found("config files", files)
      assert.lengthOf(detail.split("\n"), 2)
    }))

  it.live.skipIf(isRoot)(
    `one that cannot be read fails${isRoot ? " (skipped: root can read all)" : ""}`,
    () =>
      Effect.gen(function*() {
        const closed = machine()
        chmodSync(closed.write("home/.claude/settings.json", "{}"), 0)
        has(yield* found("config files", closed), "failed", "EACCES")
      })
  )

  it.live("a folder in the place of a file fails", () =>
    Effect.gen(function*() {
      const odd = machine()
      mkdirSync(join(odd.root, "project", ".mcp.json"))
      has(yield* found("config files", odd), "failed", "EISDIR")
    }))

  it.live("CLAUDE_CONFIG_DIR is where they are", () =>
    Effect.gen(function*() {
      const moved = machine()
      moved.write("home/.claude.json", "broken, but not looked at")
      const file = moved.write("conf/.claude.json", "{")
      const settings = moved.write("conf/settings.json", "{")
      const result = yield* found("config files", moved, env(moved, { CLAUDE_CONFIG_DIR: join(moved.root, "conf") }))
      has(result, "failed", `${file}:1:2`, `${settings}:1:2`)
      assert.notInclude(result.detail, "home")
    }))

  it.live("a CLI that might replace the one that is broken is not asked for its login", () =>
    Effect.gen(function*() {
      const careful = machine()
      const log = join(careful.root, "log")
      careful.write("bin/claude", `#!/bin/sh\necho "$*" >> ${log}\necho 2.1.197\n`, 0o755)
      careful.write("home/.claude.json", "{")
      const results = yield* examined(careful, { live: true })
      has(results.find(({ name }) => name === "login")!, "skipped", "may replace it")
      const { readFileSync } = yield* Effect.promise(() => import("node:fs"))
      assert.deepStrictEqual([...new Set(readFileSync(log, "utf8").trim().split("\n"))], ["--version"])
    }))

  it("a fault is found in what is no JSON, and nowhere else", () => {
    const broken = FastCheck.tuple(
      FastCheck.json(),
      FastCheck.nat(),
      FastCheck.constantFrom("", ",", "\"", "}", "]", "x", "\\", "1", "\n", "\u0001")
    )
      .map(([text, at, what]) =>
        `${text.slice(0, at % (text.length + 1))}${what}${text.slice(at % (text.length + 1) + 1)}`
      )
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(FastCheck.string(), broken), (text) => {
        const fault = jsonFault(text)
        let valid = true
        try {
          JSON.parse(text)
        } catch {
          valid = false
        }
        assert.strictEqual(fault === undefined, valid)
        if (fault === undefined) return
        const lines = text.split("\n")
        assert.isTrue(fault.line >= 1 && fault.line <= lines.length)
        assert.isTrue(fault.column >= 1 && fault.column <= lines[fault.line - 1]!.length + 1)
        // What stands before the fault can be the beginning of something that is whole.
        assert.notInclude(fault.detail, "undefined")
      }),
      { numRuns: 3000 }
    )
  })

  it("a file of nothing but brackets does not break it", () => {
    assert.deepInclude(jsonFault("[".repeat(100_000)), { line: 1, column: 100_001 })
  })
})

describe("mcp servers", () => {
  it.live("a command that is not there fails, wherever the server is configured", () =>
    Effect.gen(function*() {
      const servers = machine()
      const { cwd = "" } = servers.settings
      servers.write(
        "home/.claude.json",
        JSON.stringify({
          mcpServers: { mine: { command: "no-such-one" }, web: { type: "http", url: "https://x.example/mcp" } },
          projects: {
            [cwd]: { mcpServers: { local: { command: "/no/such/two" } } },
            "/else": { mcpServers: { not: {} } }
          }
        })
      )
      servers.write(
        "project/.mcp.json",
        JSON.stringify({ mcpServers: { team: { command: "${TOOL:-no-such-three}" } } })
      )
      const result = yield* found("mcp servers", servers)
      has(result, "failed", "no-such-one", "/no/such/two", "no-such-three", "claude mcp remove mine")
      assert.lengthOf(result.detail.split("\n"), 3)
    }))

  it.live("one that lacks a variable is a warning; one without command or with a bad address fails", () =>
    Effect.gen(function*() {
      const servers = machine()
      const set = (server: unknown) =>
        servers.write("project/.mcp.json", JSON.stringify({ mcpServers: { one: server } }))
      set({ command: "sh", args: ["${SECRET_TOKEN}"] })
      has(yield* found("mcp servers", servers), "warning", "SECRET_TOKEN is not set")
      has(yield* found("mcp servers", servers, env(servers, { SECRET_TOKEN: "x" })), "ok")
      set({ type: "http", url: "not an address" })
      has(yield* found("mcp servers", servers), "failed", "url")
      set({})
      has(yield* found("mcp servers", servers), "failed", "neither")
      set({ command: servers.write("script", "#!/no/such/interpreter\n", 0o755) })
      has(yield* found("mcp servers", servers), "failed", "/no/such/interpreter")
      servers.write("project/.mcp.json", JSON.stringify({ mcpServers: [] }))
      has(yield* found("mcp servers", servers), "skipped")
    }))

  it.live("are started only when that is asked for", () =>
    Effect.gen(function*() {
      const live = machine()
      live.write(
        "bin/claude",
        "#!/bin/sh\ncase \"$1\" in --version) echo 2.1.330;; mcp) echo 'one: sh -c x - ✘ Failed to connect — ENOENT';; esac\n",
        0o755
      )
      has(yield* found("mcp servers", live), "skipped")
      has(yield* found("mcp servers", live, { live: true }), "failed", "one: Failed to connect — ENOENT")
    }))

  it("what the CLI says of them is understood, from both versions", () => {
    assert.deepStrictEqual(
      liveFinding("No MCP servers configured. Use `claude mcp add` to add a server.\n").status,
      "skipped"
    )
    const finding = liveFinding([
      "Checking MCP server health…",
      "a: /nope/y  - ✘ Failed to connect",
      "b: http://127.0.0.1:1/mcp (HTTP) - ⏸ Pending approval (run `claude` to approve)",
      "c: npx -y some - thing - ✔ Connected"
    ].join("\n"))
    assert.deepStrictEqual([finding.status, finding.detail], [
      "failed",
      "a: Failed to connect\nb: Pending approval (run `claude` to approve)\nc: Connected"
    ])
  })
})

describe("the machine's own", () => {
  it.live("disk space is told for each folder, also for those that are not there yet", () =>
    Effect.gen(function*() {
      const disk = machine()
      const folders = [{ name: "session store", path: join(disk.root, "not", "yet") }]
      has(
        yield* found("disk space", disk, { folders }),
        "ok",
        "configuration: ",
        "temporary files: ",
        "session store: "
      )
    }))

  it.live.skipIf(!linux)(
    `a folder without room or that cannot be written to fails${onlyLinux}`,
    () =>
      Effect.gen(function*() {
        const disk = machine()
        has(yield* found("disk space", disk, { machine: { temporary: "/proc" } }), "failed", "/proc", "temporary files")
      })
  )

  it.live("limits that are too low are warnings", () =>
    Effect.gen(function*() {
      const low = machine()
      low.write("limits", "Max processes  64  64  processes\nMax open files  128  unlimited  files\n")
      has(yield* found("limits", low), "warning", "only 128 open files", "only 64 processes", "ulimit -n")
      low.write("limits", "Max open files  unlimited  unlimited  files\n")
      has(yield* found("limits", low, { maxConcurrent: 7 }), "ok", "any number of open files", "up to 7 CLIs at once")
      has(
        yield* found("limits", low, { machine: { memory: { total: 10 ** 9, free: 10 ** 7 } } }),
        "warning",
        "9 MB are free",
        "CCFLOW_MAX_CONCURRENT"
      )
    }))

  it.live("a Node that is too old fails", () =>
    Effect.gen(function*() {
      const old = machine()
      has(yield* found("node", old, { machine: { nodeVersion: "18.20.0" } }), "failed", "18.20.0", "20")
      has(yield* found("node", old, { machine: { nodeVersion: "24.1.0" } }), "ok")
    }))

  it.live("windows of the subscription that are used up are warnings, until they reset", () =>
    Effect.gen(function*() {
      const used = machine()
      const window: UsageWindow = {
        account: "",
        overage: false,
        seenAt: 0,
        limit: "five_hour",
        status: "rejected",
        resetsAt: Date.now() + 3_600_000,
        utilization: 1
      }
      const windows = (more: Partial<UsageWindow>) => ({ windows: Effect.succeed([{ ...window, ...more }]) })
      has(yield* found("usage limits", used, windows({})), "warning", "five_hour is used up until 2")
      has(yield* found("usage limits", used, windows({ resetsAt: 1 })), "ok")
      has(yield* found("usage limits", used, windows({ status: "allowed_warning", utilization: 0.8 })), "ok", "80 %")
    }))
})

describe("a check", () => {
  it.effect("that breaks, fails or never ends is a warning, and the others are told", () =>
    Effect.gen(function*() {
      const all = [
        NodeDoctor.check("breaks", Effect.die("some\nthing")),
        NodeDoctor.check("fails", Effect.fail("it")),
        NodeDoctor.check("hangs", Effect.never),
        NodeDoctor.check("well", Effect.succeed(NodeDoctor.ok("fine")))
      ]
      const running = yield* Effect.fork(NodeDoctor.run(all))
      yield* TestClock.adjust("30 seconds")
      const results = yield* running
      assert.deepStrictEqual(results.map(({ status }) => status), ["warning", "warning", "warning", "ok"])
    }))

  it.live("asks the health check that it is given", () =>
    Effect.gen(function*() {
      const own = machine()
      own.cli("bin/claude")
      const all = yield* NodeDoctor.checks({ machine: own.settings })
      const results = yield* NodeDoctor.run(all.filter(({ name }) => name === "version")).pipe(
        Effect.provide(HealthCheck.layerNoop),
        Effect.provide(NodeDoctor.layer)
      )
      assert.deepStrictEqual(results, [{ name: "version", status: "skipped", detail: "it is not known" }])
    }))
})
