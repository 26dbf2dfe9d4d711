import * as ClaudeError from "@ccflow/core/ClaudeError"
import type { QueryOptions } from "ccflow"
import { Schema } from "effect"
import { readFileSync } from "node:fs"
import { chmod, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, it } from "vitest"
import * as Api from "./support/MessagesApi.js"
import type { SandboxHome, SandboxOptions } from "./support/RealCli.js"
import { supportedVersions } from "./support/RealCli.js"
import { type Asked, type Bench, describeRealCli, startBench } from "./support/realCliBench.js"

const unknownId = "99999999-2222-4333-8444-555555555555"
const takenId = "11111111-2222-4333-8444-555555555555"
const resetsAt = Math.floor(Date.now() / 1000) + 3600
const refusedPort = "http://127.0.0.1:9"
const person = {
  type: "object",
  properties: { name: { type: "string" } },
  required: ["name"],
  additionalProperties: false
}

interface Case {
  /** What the API answers each time. Left out, a good answer. */
  readonly reply?: Api.Reply | ((home: SandboxHome) => () => Api.Reply)
  readonly options?: QueryOptions
  readonly credentials?: SandboxOptions["credentials"]
  readonly env?: Readonly<Record<string, string>>
  readonly url?: string
  /** A folder of its own as home, prepared. */
  readonly home?: (home: SandboxHome) => Promise<void>
  /** Commands of a shell around the CLI, which is `"$REAL" "$@"`. */
  readonly around?: string
  /** Run before, with the same options. */
  readonly first?: string
  readonly skip?: string | false
  /** The tag, or the text of the answer, and fields of it. */
  readonly ends: string
  readonly fields?: object
  /** Where the two versions differ. */
  readonly in197?: Pick<Case, "ends" | "fields">
}

const posix = process.platform === "win32" && "needs a POSIX shell"
const root = process.getuid?.() !== 0 && "needs to be root"

const cases: Readonly<Record<string, Case>> = {
  "a key that is refused": {
    reply: Api.status(401),
    ends: "AuthenticationError",
    fields: { status: 401 }
  },
  "a login that has expired": {
    reply: Api.status(401, { message: "OAuth token has expired" }),
    credentials: "oauth",
    ends: "AuthenticationError",
    fields: { status: 401 }
  },
  "no login": { credentials: "none", ends: "AuthenticationError", fields: { status: null } },
  "no permission": { reply: Api.status(403), ends: "AuthenticationError", fields: { status: 403 } },
  "an organization that does not allow it": {
    reply: Api.status(403, { message: "OAuth authentication is currently not allowed for this organization." }),
    credentials: "oauth",
    ends: "AuthenticationError",
    fields: { status: 403 }
  },
  "an unknown model": {
    reply: Api.modelNotFound("claude-nope-1"),
    options: { model: "claude-nope-1" },
    ends: "ModelNotFoundError",
    fields: { model: "claude-nope-1" }
  },
  "a request that is too large": {
    reply: Api.status(413),
    ends: "ApiError",
    fields: { status: 413, type: "request_too_large" }
  },
  "a request that is not good": {
    reply: Api.status(400, { message: "messages: no" }),
    ends: "ApiError",
    fields: { status: 400, type: "invalid_request_error" }
  },
  "a key's rate limit": {
    reply: Api.rateLimited(),
    ends: "ApiError",
    fields: { status: 429, type: "rate_limit_error" }
  },
  "a subscription's five hours": {
    reply: Api.usageLimited({ resetsAt }),
    credentials: "oauth",
    ends: "UsageLimitError",
    fields: { limit: "five_hour", resetsAt: resetsAt * 1000 }
  },
  "a subscription's week": {
    reply: Api.usageLimited({ resetsAt, claim: "seven_day" }),
    credentials: "oauth",
    ends: "UsageLimitError",
    fields: { limit: "seven_day", resetsAt: resetsAt * 1000 }
  },
  "a subscription's request at a busy time, which is no usage limit": {
    reply: Api.rateLimited(),
    credentials: "oauth",
    ends: "ApiError",
    fields: { status: 429, type: "rate_limit_error" }
  },
  "a failing API": { reply: Api.status(500), ends: "ApiError", fields: { status: 500, type: "api_error" } },
  "a failing proxy": { reply: Api.html(502), ends: "ApiError", fields: { status: 502 } },
  "an overloaded API": { reply: Api.status(529), ends: "OverloadedError" },
  "an API that becomes overloaded while it answers": {
    reply: Api.errorMid({ afterChars: 10 }),
    ends: "OverloadedError"
  },
  "a refused connection": { url: refusedPort, ends: "ApiError", fields: { status: null, type: "connection_failed" } },
  "a lost connection": {
    reply: Api.cut({ afterChars: 10 }),
    ends: "ApiError",
    fields: { status: null, type: "connection_failed" }
  },
  "a full context": { reply: Api.promptTooLong(), ends: "ContextOverflowError" },
  "a context that becomes full while the model answers": {
    reply: Api.text("so", { stopReason: "model_context_window_exceeded" }),
    ends: "ContextOverflowError"
  },
  "an answer longer than maxTokens": {
    reply: Api.text("so", { stopReason: "max_tokens" }),
    options: { maxTokens: 1000 },
    ends: "ApiError",
    fields: { type: "max_output_tokens" }
  },
  "no credit": {
    reply: Api.status(400, { message: "Your credit balance is too low to access the Anthropic API." }),
    ends: "ApiError",
    fields: { status: 400, type: "billing_error" }
  },
  "a refusal": { reply: Api.refusal(), ends: "RefusalError" },
  "maxTurns": {
    reply: Api.toolUse("Bash", { command: "true" }),
    options: { maxTurns: 1, allowedTools: ["Bash"] },
    ends: "MaxTurnsError"
  },
  "maxBudgetUsd": {
    reply: Api.text("ok", { usage: { output_tokens: 1_000_000 } }),
    options: { maxBudgetUsd: 0.01 },
    ends: "BudgetExceededError"
  },
  "structured output that is never given": {
    options: { outputSchema: person },
    ends: "StructuredOutputError",
    fields: { reason: "NeverGiven" }
  },
  "structured output that is always wrong": {
    reply: Api.toolUse("StructuredOutput", { age: 1 }),
    options: { outputSchema: person },
    ends: "StructuredOutputError",
    fields: { reason: "RetriesExhausted" }
  },
  "a session that is unknown": {
    options: { resume: unknownId },
    ends: "SessionNotFoundError",
    fields: { sessionId: unknownId }
  },
  "a session title that is unknown": {
    options: { resume: "no such title" },
    ends: "SessionNotFoundError",
    fields: { sessionId: "no such title" }
  },
  "a session id that is taken": {
    options: { sessionId: takenId },
    first: "to take it",
    ends: "SessionBusyError",
    fields: { sessionId: takenId }
  },
  "an unknown flag": {
    options: { extraArgs: { "no-such-flag": "S3CRET" } },
    ends: "InvalidOptionsError",
    fields: { field: "noSuchFlag" }
  },
  "a flag's unknown value": {
    options: { extraArgs: { "thinking-display": "bogus" } },
    ends: "InvalidOptionsError",
    fields: { field: "thinkingDisplay" }
  },
  "an option that only newer versions have": {
    options: { permissionPrompts: "none" },
    ends: "ok",
    in197: { ends: "InvalidOptionsError", fields: { field: "permissionPrompts" } }
  },
  "an MCP configuration that is missing": {
    options: { extraArgs: { "mcp-config": "/nonexistent/mcp.json" } },
    ends: "InvalidOptionsError",
    fields: { field: "mcpServers" }
  },
  "a permission tool that is missing": {
    reply: Api.toolUse("Bash", { command: "touch x" }),
    options: { permissionPromptTool: "mcp__missing__tool" },
    ends: "InvalidOptionsError",
    fields: { field: "permissionPromptTool" }
  },
  "a settings file that is missing": {
    options: { settings: "/nonexistent/settings.json" },
    ends: "InvalidOptionsError",
    fields: { field: "settings" }
  },
  "a configuration file that is broken": {
    home: (home) => writeFile(join(home.path, ".claude.json"), "{nope"),
    ends: "CliExitError",
    fields: { reason: "ConfigInvalid" }
  },
  "a sandbox that is missing": {
    options: { sandbox: { enabled: true } },
    env: { PATH: "/nonexistent" },
    skip: process.platform !== "linux" && "only Linux needs a program for it",
    ends: "CliExitError",
    fields: { reason: "StartupFailed" }
  },
  "bypassed permissions of root": {
    options: { permissionMode: "bypassPermissions" },
    skip: root,
    ends: "InvalidOptionsError",
    fields: { field: "permissionMode" }
  },
  "a working directory that is missing": {
    options: { cwd: join(import.meta.dirname, "nonexistent") },
    ends: "CliSpawnError",
    fields: { reason: "CwdMissing" }
  },
  "a working directory that is deleted": {
    around: "cd \"$(mktemp -d)\" && rmdir \"$PWD\" && exec \"$REAL\" \"$@\"",
    skip: posix,
    ends: "InvalidOptionsError",
    fields: { field: "cwd" }
  },
  "no CLI": {
    options: { cliPath: join(import.meta.dirname, "nonexistent") },
    ends: "CliNotFoundError"
  },
  "exit 0 without a result": {
    around: "exec \"$REAL\" \"$@\" < /dev/null",
    skip: posix,
    ends: "MissingResultError"
  },
  "exit 1 after a good result": { around: "\"$REAL\" \"$@\"; exit 1", skip: posix, ends: "ok" },
  "a signal after a good result": { around: "\"$REAL\" \"$@\"; kill -9 $$", skip: posix, ends: "ok" },
  "a signal before the answer": {
    reply: (home) => () => {
      process.kill(Number(readFileSync(join(home.path, "pid"), "utf8")), "SIGKILL")
      return { _tag: "silent" }
    },
    around: "echo $$ > \"$HOME/pid\"; exec \"$REAL\" \"$@\"",
    skip: posix,
    ends: "CliExitError",
    fields: { reason: "Killed" }
  },
  "an answer without a word": { reply: Api.blocks([]), ends: "" }
}

/** Run by the newest version alone: the older one's way is known from its recordings, or from a case like it. */
const newestOnly: ReadonlySet<string> = new Set([
  "a subscription's week",
  "an API that becomes overloaded while it answers",
  "exit 1 after a good result",
  "a signal after a good result",
  "an answer without a word",
  "a key that is refused",
  "a login that has expired",
  "no login",
  "no permission",
  "an unknown model",
  "a request that is too large",
  "a key's rate limit",
  "a subscription's five hours",
  "a failing API",
  "an overloaded API",
  "a refused connection",
  "a lost connection",
  "a full context",
  "a refusal",
  "maxTurns",
  "maxBudgetUsd",
  "structured output that is never given",
  "a session that is unknown",
  "an unknown flag"
])

await describeRealCli("a query ends in its own error", ({ path, version }) => {
  let bench: Bench
  beforeAll(async () => {
    bench = await startBench(path)
  })
  afterAll(() => bench[Symbol.asyncDispose]())

  /** A shell script that runs the CLI in its own way. */
  const around = async (commands: string, home: SandboxHome): Promise<string> => {
    const script = join(home.path, "around.sh")
    await writeFile(script, `#!/bin/sh\nREAL='${path}'\n${commands}\n`)
    await chmod(script, 0o700)
    return script
  }

  const run = async (given: Case): Promise<Asked> => {
    const own = given.home !== undefined || given.around !== undefined
    const home = own ? await bench.newHome() : bench.home
    await given.home?.(home)
    const options = given.options ?? {}
    if (given.first !== undefined) await bench.ask(options, { prompt: given.first })
    return bench.ask(options, {
      prompt: "S3CRET",
      home,
      ...(given.around === undefined ? {} : { path: await around(given.around, home) }),
      ...(given.credentials === undefined ? {} : { credentials: given.credentials }),
      ...(given.env === undefined ? {} : { env: given.env }),
      ...(given.url === undefined ? {} : { url: given.url }),
      ...(given.reply === undefined
        ? {}
        : { reply: typeof given.reply === "function" ? given.reply(home) : given.reply })
    })
  }

  const check = ({ error, messages }: Asked, { ends, fields = {} }: Pick<Case, "ends" | "fields">) => {
    if (error instanceof ClaudeError.CCFlowError) {
      assert.strictEqual(error._tag, ends, error.message)
      assert.deepInclude(error, fields)
      const told = JSON.stringify(error, (key, value: unknown) => key === "stderrTail" ? "" : value)
      assert.match(error.message, /^[^\n]+[.!?…] [^\n]+[.?]$/u)
      assert.notMatch(`${error.message} ${told}`, /S3CRET|sk-ant|\.\. /)
      const json: unknown = JSON.parse(JSON.stringify(Schema.encodeUnknownSync(ClaudeError.ClaudeError)(error)))
      assert.deepStrictEqual(Schema.decodeUnknownSync(ClaudeError.ClaudeError)(json).message, error.message)
    } else {
      assert.isUndefined(error)
      assert.deepInclude(messages.at(-1), { _tag: "Result", result: ends })
    }
  }

  for (const [name, given] of Object.entries(cases)) {
    if (version !== supportedVersions[0] && newestOnly.has(name)) continue
    const wanted = version === "2.1.197" ? given.in197 ?? given : given
    const title = `${name}: ${/Error$/.test(wanted.ends) ? wanted.ends : "a result"}`
    if (given.skip) it.skip(`${title} (skipped: ${given.skip})`, () => {})
    else it.concurrent(title, async () => check(await run(given), wanted))
  }
})
