import { BudgetExceededError, CliNotFoundError } from "@ccflow/core/ClaudeError"
import * as HealthCheck from "@ccflow/core/HealthCheck"
import * as SessionManager from "@ccflow/core/SessionManager"
import { layerMemory, SessionRepository } from "@ccflow/core/SessionRepository"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpApiClient from "@effect/platform/HttpApiClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { once } from "node:events"
import { request } from "node:http"
import { connect } from "node:net"
import { planted } from "../../../test/support/planted.js"
import { HttpService, type HttpServiceOptions, layer } from "../src/HttpService.js"
import { Api, type Failure } from "../src/HttpServiceApi.js"
import { answerOf } from "../src/internal/serveErrors.js"
import { frame } from "../src/internal/serveEvents.js"

type Script = Parameters<typeof FakeCli.layer>[0]

const echo: Script = { respond: (prompt) => FakeCli.answer(`echo: ${prompt}`) }

/** A service on a port of its own, over a fake CLI. */
const serving = (
  options: HttpServiceOptions = {},
  script: Script = echo,
  health = HealthCheck.layerNoop,
  logging: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)
) =>
  Effect.gen(function*() {
    const all = yield* Layer.build(
      layer({ port: 0, grace: 200, ...options }).pipe(
        Layer.provide(SessionManager.layer),
        Layer.provideMerge(Layer.mergeAll(FakeClaude.layer(script), health, layerMemory)),
        Layer.provide(logging)
      )
    )
    const { url } = Context.get(all, HttpService)
    const started = Context.get(all, FakeCli.FakeCli).started
    const ask = (path: string, init: RequestInit = {}) => Effect.promise(() => fetch(`${url}${path}`, init))
    const post = (path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
      ask(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body)
      })
    return { all, url, started, ask, post }
  })

const jsonOf = <A>(response: Response): Effect.Effect<A> => Effect.promise(() => response.json() as Promise<A>)
const failureOf = (response: Response) =>
  Effect.map(jsonOf<Failure>(response), ({ error }) => [response.status, error.type] as const)
const token = planted.serveToken

/** By the words of the standard: lines by any of the three line ends, fields up to the first colon, events by empty lines. */
const parsed = (text: string) =>
  text.split(/\r\n\r\n|\n\n|\r\r/).flatMap((block) => {
    const fields = block.split(/\r\n|\n|\r/).filter((line) => line !== "" && !line.startsWith(":")).map((line) => {
      const at = line.indexOf(":")
      return [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")] as const
    })
    const of = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value)
    return fields.length === 0
      ? []
      : [{ event: of("event")[0], id: of("id")[0], data: JSON.parse(of("data").join("\n")) as Record<string, unknown> }]
  })
const events = (response: Response) => Effect.map(Effect.promise(() => response.text()), parsed)
const sse = { accept: "text/event-stream" }

/** As fetch may not: any header, and a body of any length. */
const raw = (url: string, path: string, headers: Readonly<Record<string, string>>, body: ReadonlyArray<string> = []) =>
  Effect.async<{ readonly status: number; readonly text: string }>((resume) => {
    const asked = request(`${url}${path}`, { method: body.length === 0 ? "GET" : "POST", headers }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => text += part)
      response.on("end", () => resume(Effect.succeed({ status: response.statusCode ?? 0, text })))
    })
    asked.on("error", () => resume(Effect.succeed({ status: 0, text: "" })))
    for (const part of body) asked.write(part)
    asked.end()
  })

describe("POST /v1/query", () => {
  it.scopedLive("answers with the result", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving()
      const response = yield* post("/v1/query", { prompt: "hi\nthere", model: "opus", maxTurns: 3, tags: ["a"] })
      const body = yield* jsonOf<{ readonly result: string; readonly _tag: string }>(response)
      assert.deepStrictEqual([response.status, body._tag, body.result], [200, "Result", "echo: hi\nthere"])
      const [cli] = yield* started
      assert.includeMembers([...cli?.invocation.args ?? []], ["--model=opus", "--max-turns=3"])
      assert.notInclude(JSON.stringify(cli?.invocation), "there")
    }))

  it.scopedLive("streams every message as an event, in order, and the result at last", () =>
    Effect.gen(function*() {
      const { post } = yield* serving({}, [[
        FakeCli.init(),
        FakeCli.text("one\n\ndata: two\r\n: three", { deltas: 3 }),
        FakeCli.result({ result: "one" })
      ]])
      const response = yield* post("/v1/query", { prompt: "hi", includePartialMessages: true }, sse)
      assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/)
      const all = yield* events(response)
      assert.deepStrictEqual(all.map(({ id }) => id), all.map((_, index) => String(index + 1)))
      for (const { data, event } of all.slice(0, -1)) assert.strictEqual(data["_tag"], event)
      assert.strictEqual(
        all.filter(({ event }) => event === "Text").map(({ data }) => data["content"]).join(""),
        "one\n\ndata: two\r\n: three"
      )
      assert.deepStrictEqual(all.slice(-3).map(({ event }) => event), ["Stop", "Result", "result"])
    }))

  it.scopedLive("ends a stream that failed with the error, and says nothing is amiss until then", () =>
    Effect.gen(function*() {
      const overloaded = FakeCli.apiError({
        status: 529,
        code: "overloaded",
        type: "overloaded_error",
        message: "Busy."
      })
      const { post } = yield* serving({ heartbeat: 20 }, [[FakeCli.delay(200), ...overloaded]])
      const text = yield* Effect.flatMap(
        post("/v1/query", { prompt: "hi" }, sse),
        (response) => Effect.promise(() => response.text())
      )
      assert.isAbove(text.split(": still here\n\n").length, 4)
      const last = parsed(text).at(-1)
      assert.strictEqual(last?.event, "error")
      assert.deepInclude(last?.data["error"], { type: "OverloadedError", retryAfter: 5 })
    }))

  it.scopedLive("tells each failure with its status, and when to come again", () =>
    Effect.gen(function*() {
      const failing = (status: number, code: string, type: string) =>
        FakeCli.apiError({ status, code, type, message: "No." })
      const resetsAt = Math.ceil(Date.now() / 1000) + 3600
      const { post } = yield* serving({}, (index) =>
        [
          { turns: [failing(401, "authentication_failed", "authentication_error")] },
          {
            turns: [[
              FakeCli.init(),
              FakeCli.emit({
                type: "rate_limit_event",
                rate_limit_info: { status: "rejected", resetsAt, rateLimitType: "five_hour" }
              }),
              ...failing(429, "rate_limit", "rate_limit_error").slice(1)
            ]]
          },
          { refuse: new CliNotFoundError({ command: "claude", hint: "Install it." }) },
          { turns: [[FakeCli.hang]] },
          { turns: [[FakeCli.init(), FakeCli.exit(0)]] }
        ][index] ?? {})
      const ask = (body = {}) => post("/v1/query", { prompt: "hi", ...body })
      assert.deepStrictEqual(yield* failureOf(yield* ask()), [502, "AuthenticationError"])
      const limited = yield* ask()
      assert.deepStrictEqual(yield* failureOf(limited), [429, "UsageLimitError"])
      assert.approximately(Number(limited.headers.get("retry-after")), 3600, 5)
      assert.deepStrictEqual(yield* failureOf(yield* ask()), [502, "CliNotFoundError"])
      assert.deepStrictEqual(yield* failureOf(yield* ask({ timeout: 50 })), [504, "CliTimeoutError"])
      assert.deepStrictEqual(yield* failureOf(yield* ask()), [502, "MissingResultError"])
    }))
})

describe("what requests may ask for", () => {
  it.scopedLive("refuses every option that could run code or widen rights, by name, and starts nothing", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving()
      const refused = {
        cwd: "/",
        addDirs: ["/"],
        env: { A: "b" },
        cliPath: "/bin/sh",
        mcpServers: {},
        settings: {},
        extraArgs: {},
        pluginDirs: [],
        allowedTools: ["Bash"],
        tools: ["Bash"],
        dangerouslySkipPermissions: true,
        agents: {},
        agent: "a",
        settingSources: [],
        isolated: true,
        sandbox: {},
        resume: "a",
        sessionId: "a",
        debugFile: "/tmp/a",
        permissionPromptTool: "a",
        skills: "all",
        billing: "apiKey",
        permissionMode: "bypassPermissions"
      }
      for (const [name, value] of Object.entries(refused)) {
        for (
          const [path, body] of [
            ["/v1/query", { prompt: "hi", [name]: value }],
            ["/v1/sessions", { [name]: value }],
            ["/v1/batch", { prompts: ["hi"], options: { [name]: value } }],
            ["/v1/batch", { prompts: [{ prompt: "hi", [name]: value }] }]
          ] as const
        ) {
          const response = yield* post(path, body)
          const { error } = yield* jsonOf<Failure>(response)
          assert.deepStrictEqual([response.status, error.type], [403, "OptionRefused"], `${path} ${name}`)
          assert.include(error.message, name)
        }
      }
      for (const mode of ["acceptEdits", "auto", "manual"]) {
        assert.strictEqual((yield* post("/v1/query", { prompt: "hi", permissionMode: mode })).status, 403)
      }
      assert.lengthOf(yield* started, 0)
    }))

  it.scopedLive("has what the operator allows, and nothing wider than what the operator has set", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving({
        allow: ["cwd", "allowedTools"],
        defaults: { permissionMode: "plan", maxTurns: 5, maxBudgetUsd: 1, disallowedTools: ["Bash"] }
      })
      assert.strictEqual((yield* post("/v1/query", { prompt: "hi", cwd: "/tmp", allowedTools: ["Read"] })).status, 200)
      assert.strictEqual((yield* post("/v1/query", { prompt: "hi", permissionMode: "default" })).status, 403)
      assert.strictEqual((yield* post("/v1/query", { prompt: "hi", permissionMode: "plan" })).status, 200)
      yield* post("/v1/query", { prompt: "hi", maxTurns: 50, maxBudgetUsd: 9, disallowedTools: ["Edit"] })
      const [first, , third] = yield* started
      assert.strictEqual(first?.invocation.cwd, "/tmp")
      assert.includeMembers([...third?.invocation.args ?? []], ["--max-turns=5", "--max-budget-usd=1"])
      assert.isTrue(third?.invocation.args.some((arg) => arg.includes("Bash") && arg.includes("Edit")))
    }))

  it.scopedLive("tells what is wrong by its name, and not by its value", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving({ maxBatch: 2 })
      const wrong: ReadonlyArray<readonly [string, unknown, string]> = [
        ["/v1/query", {}, "prompt"],
        ["/v1/query", { prompt: "" }, "prompt"],
        ["/v1/query", { prompt: "hi", modell: "sk-secret" }, "modell"],
        ["/v1/query", { prompt: "hi", maxTurns: "sk-secret" }, "maxTurns"],
        ["/v1/query", { prompt: "hi", timeout: "sk-secret" }, "timeout"],
        ["/v1/query", { prompt: "hi", effort: "sk-secret" }, "effort"],
        ["/v1/query", { prompt: "hi", model: "--sk-secret" }, "model"],
        ["/v1/query", ["sk-secret"], "body"],
        ["/v1/query", "{\"prompt\":\"sk-secret", "body"],
        ["/v1/sessions", { prompt: "hi" }, "prompt"],
        ["/v1/batch", { prompts: [] }, "prompts"],
        ["/v1/batch", { prompts: ["a", "b", "c"] }, "prompts"],
        ["/v1/batch", { prompts: ["a", { prompt: 1 }] }, "prompts.1.prompt"],
        ["/v1/batch", { prompts: ["a"], concurrency: 0 }, "concurrency"]
      ]
      for (const [path, body, name] of wrong) {
        const response = yield* post(path, body)
        const text = yield* Effect.promise(() => response.text())
        assert.strictEqual(response.status, 400, text)
        assert.include(text, name)
        assert.notInclude(text, "sk-secret")
      }
      assert.lengthOf(yield* started, 0)
    }))
})

describe("who may ask", () => {
  it.scopedLive("asks for the token wherever something is said of anybody, and takes no other", () =>
    Effect.gen(function*() {
      const { ask, post } = yield* serving({ token: Redacted.make(token) })
      for (const path of ["/v1/sessions", "/v1/sessions/a", "/metrics"]) {
        const response = yield* ask(path)
        assert.deepStrictEqual(yield* failureOf(response), [401, "Unauthorized"])
        assert.strictEqual(response.headers.get("www-authenticate"), "Bearer")
        const authorized = yield* ask(path, { headers: { authorization: `Bearer ${token}` } })
        assert.notStrictEqual(authorized.status, 401)
      }
      for (const given of ["", "Bearer", `Bearer ${token} `.trimEnd().slice(0, -1), `Bearer ${token}x`, token]) {
        assert.strictEqual((yield* post("/v1/query", { prompt: "hi" }, { authorization: given })).status, 401)
      }
      assert.strictEqual(
        (yield* post("/v1/query", { prompt: "hi" }, { authorization: `Bearer ${token}` })).status,
        200
      )
      assert.strictEqual((yield* ask("/health")).status, 200)
    }))

  it.live("does not start off the loopback interface without a good token", () =>
    Effect.gen(function*() {
      for (const options of [{ host: "0.0.0.0" }, { host: "::" }, { host: "0.0.0.0", token: Redacted.make("short") }]) {
        const error = yield* Effect.flip(Effect.scoped(serving(options)))
        assert.deepInclude(error, { _tag: "InvalidOptionsError", field: "token" })
      }
      yield* Effect.scoped(serving({ host: "0.0.0.0", token: Redacted.make(token) }))
      assert.deepInclude(yield* Effect.flip(Effect.scoped(serving({ allow: ["nothing"] }))), { field: "allow" })
      assert.deepInclude(yield* Effect.flip(Effect.scoped(serving({ corsOrigins: ["*"] }))), { field: "corsOrigins" })
    }))

  it.scopedLive("is not to be reached by a name that a stranger has given it", () =>
    Effect.gen(function*() {
      const { url } = yield* serving({ allowedHosts: ["ccflow.example"] })
      const port = new URL(url).port
      const asked = (host: string) => Effect.map(raw(url, "/v1/sessions", { host }), ({ status }) => status)
      for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "a@127.0.0.1"]) {
        assert.strictEqual(yield* asked(host), 403, host)
      }
      for (const host of [`127.0.0.1:${port}`, "LOCALHOST", "[::1]:80", "ccflow.example"]) {
        assert.strictEqual(yield* asked(host), 200, host)
      }
    }))

  it.scopedLive("is not to be asked by pages of other origins, but those that are named", () =>
    Effect.gen(function*() {
      const { ask, post, started, url } = yield* serving({ corsOrigins: ["https://app.example"] })
      const from = (origin: string) => post("/v1/query", { prompt: "hi" }, { origin })
      for (const origin of ["https://evil.example", "null", "http://localhost:1", "https://app.example.evil"]) {
        const response = yield* from(origin)
        assert.deepStrictEqual(yield* failureOf(response), [403, "OriginRefused"], origin)
        assert.isNull(response.headers.get("access-control-allow-origin"))
      }
      assert.lengthOf(yield* started, 0)
      assert.strictEqual((yield* from(url)).status, 200)
      const named = yield* from("https://app.example")
      assert.deepStrictEqual(
        [
          named.status,
          named.headers.get("access-control-allow-origin"),
          named.headers.get("access-control-allow-credentials")
        ],
        [200, "https://app.example", null]
      )
      const preflight = (origin: string) =>
        ask("/v1/query", { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } })
      assert.strictEqual(
        (yield* preflight("https://app.example")).headers.get("access-control-allow-origin"),
        "https://app.example"
      )
      assert.isNull((yield* preflight("https://evil.example")).headers.get("access-control-allow-origin"))
      // What a page's form can send without asking.
      assert.strictEqual((yield* post("/v1/query", "{}", { "content-type": "text/plain" })).status, 415)
    }))
})

describe("limits", () => {
  it.scopedLive("reads no body beyond its limit, whether its length is told or not", () =>
    Effect.gen(function*() {
      const { started, url } = yield* serving({ maxBody: 1000 })
      const json = { "content-type": "application/json" }
      const body = JSON.stringify({ prompt: "x".repeat(5000) })
      assert.strictEqual(
        (yield* raw(url, "/v1/query", { ...json, "content-length": String(body.length) }, [body])).status,
        413
      )
      const chunks = Array.from({ length: 50 }, () => "x".repeat(100))
      assert.strictEqual((yield* raw(url, "/v1/query", json, [`{"prompt":"`, ...chunks, `"}`])).status, 413)
      assert.strictEqual((yield* raw(url, "/v1/query", json, [`{"prompt":"`, ...chunks.slice(0, 5), `"}`])).status, 200)
      assert.lengthOf(yield* started, 1)
    }))

  it.scopedLive("refuses one request more than there may be, and has room again when one has ended", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving(
        { maxRequests: 1 },
        (index) =>
          index === 0
            ? { turns: [[FakeCli.delay(300), ...FakeCli.answer("slow")]] }
            : { turns: [FakeCli.answer("fast")] }
      )
      const slow = yield* Effect.fork(post("/v1/query", { prompt: "hi" }))
      yield* Effect.repeat(Effect.sleep(10), { until: () => Effect.map(started, (all) => all.length > 0) })
      const refused = yield* post("/v1/query", { prompt: "hi" })
      assert.deepStrictEqual(yield* failureOf(refused), [429, "TooManyRequests"])
      assert.strictEqual(refused.headers.get("retry-after"), "1")
      assert.strictEqual((yield* slow).status, 200)
      assert.strictEqual((yield* post("/v1/query", { prompt: "hi" })).status, 200)
    }))

  it.scopedLive("stops what takes too long, with its CLI", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving({ requestTimeout: 100 }, [[FakeCli.init(), FakeCli.hang]])
      assert.strictEqual((yield* post("/v1/query", { prompt: "hi" })).status, 504)
      const last = (yield* events(yield* post("/v1/query", { prompt: "hi" }, sse))).at(-1)
      assert.strictEqual(last?.event, "error")
      assert.deepStrictEqual((yield* started).map(({ running }) => running), [false, false])
    }))

  it.scopedLive("counts the time of a request as a whole, however short its parts are", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving({ requestTimeout: 300 }, {
        respond: () => [FakeCli.delay(200), ...FakeCli.answer("late")]
      })
      const response = yield* post("/v1/batch", { prompts: ["a", "b", "c", "d"], concurrency: 1 })
      assert.deepStrictEqual(yield* failureOf(response), [504, "RequestTimeout"])
      yield* Effect.repeat(Effect.sleep(10), {
        until: () => Effect.map(started, (all) => all.every(({ running }) => !running))
      })
      assert.isBelow((yield* started).length, 4)
    }))

  it.live("lets what runs end when it is closed, and ends it when the grace is over", () =>
    Effect.gen(function*() {
      const closing = (grace: number) =>
        Effect.gen(function*() {
          let asked: Promise<ReadonlyArray<ReturnType<typeof parsed>[number]>> = Promise.resolve([])
          let started: Effect.Effect<ReadonlyArray<FakeCli.Started>> = Effect.succeed([])
          yield* Effect.scoped(Effect.gen(function*() {
            const service = yield* serving({ grace }, [[
              FakeCli.init(),
              FakeCli.delay(400),
              ...FakeCli.answer("late").slice(1)
            ]])
            started = service.started
            asked = Effect.runPromise(Effect.flatMap(service.post("/v1/query", { prompt: "hi" }, sse), events))
            yield* Effect.repeat(Effect.sleep(10), { until: () => Effect.map(started, (all) => all.length > 0) })
          }))
          return {
            last: (yield* Effect.promise(() => asked)).at(-1),
            running: (yield* started).map(({ running }) => running)
          }
        })
      const patient = yield* closing(5000)
      assert.deepInclude(patient.last?.data, { result: "late" })
      const impatient = yield* closing(50)
      assert.deepInclude(impatient.last?.data["error"], { type: "Stopping" })
      assert.deepStrictEqual([patient.running, impatient.running], [[false], [false]])
    }))
})

describe("a service that is closed", () => {
  it.live("sends what it has answered to its last byte, however slowly that is read", () =>
    Effect.gen(function*() {
      const long = "x".repeat(2e7)
      const body = JSON.stringify({ prompt: "hi" })
      let bytes = 0
      const socket = yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serving({ grace: 10_000 }, [FakeCli.answer(long)])
        const socket = connect(Number(new URL(url).port), "127.0.0.1").on("data", (part) => bytes += part.length)
        socket.write(
          `POST /v1/query HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n` +
            `content-length: ${body.length}\r\n\r\n${body}`
        )
        yield* Effect.promise(() => once(socket, "data"))
        socket.pause()
        setTimeout(() => socket.resume(), 300)
        return socket
      }))
      if (!socket.closed) yield* Effect.promise(() => once(socket, "close"))
      assert.isAbove(bytes, long.length)
    }))
})

interface View {
  readonly sessionId: string
  readonly live: boolean
  readonly title: string
  readonly tags: ReadonlyArray<string>
  readonly turnCount: number
}

describe("/v1/sessions", () => {
  it.scopedLive("begins, answers turn by turn, is listed, told and deleted", () =>
    Effect.gen(function*() {
      const { ask, post, started } = yield* serving()
      const created = yield* post("/v1/sessions", { tags: ["work"], model: "opus", title: "About it" })
      const view = yield* jsonOf<View>(created)
      assert.deepStrictEqual([created.status, created.headers.get("location")], [201, `/v1/sessions/${view.sessionId}`])
      assert.deepInclude(view, { live: true, tags: ["work"], turnCount: 0, title: "About it" })
      const path = `/v1/sessions/${view.sessionId}`
      for (const prompt of ["one", "two"]) {
        const answer = yield* jsonOf<{ readonly result: string }>(yield* post(`${path}/messages`, { prompt }))
        assert.strictEqual(answer.result, `echo: ${prompt}`)
      }
      const streamed = yield* events(yield* post(`${path}/messages`, { prompt: "three" }, sse))
      assert.deepInclude(streamed.at(-1), { event: "result" })
      assert.lengthOf(yield* started, 1)
      const told = yield* jsonOf<{ readonly session: View; readonly turns: ReadonlyArray<unknown> }>(yield* ask(path))
      assert.deepStrictEqual([told.session.turnCount, told.turns.length], [3, 3])
      const listed = yield* jsonOf<{ readonly sessions: ReadonlyArray<View> }>(
        yield* ask("/v1/sessions?tag=work&limit=5")
      )
      assert.deepStrictEqual(listed.sessions.map(({ sessionId }) => sessionId), [view.sessionId])
      assert.notInclude(JSON.stringify([told, listed]), "ccflow:serve")
      assert.strictEqual((yield* ask("/v1/sessions?limit=none")).status, 400)
      assert.strictEqual((yield* ask(path, { method: "DELETE" })).status, 204)
      assert.isFalse((yield* started)[0]?.running)
      for (
        const gone of [
          yield* ask(path),
          yield* ask(path, { method: "DELETE" }),
          yield* post(`${path}/messages`, { prompt: "x" })
        ]
      ) {
        assert.deepStrictEqual(yield* failureOf(gone), [404, "SessionNotFoundError"])
      }
    }))

  it.scopedLive("interrupts the turn that runs, which then ends with what there was", () =>
    Effect.gen(function*() {
      const { post, started } = yield* serving({}, [[FakeCli.init(), FakeCli.text("some"), FakeCli.hang]])
      const { sessionId } = yield* jsonOf<View>(yield* post("/v1/sessions", {}))
      const turn = yield* Effect.fork(post(`/v1/sessions/${sessionId}/messages`, { prompt: "hi" }))
      yield* Effect.repeat(Effect.sleep(10), {
        until: () => Effect.map(started, ([cli]) => cli !== undefined && cli.sent.some(({ type }) => type === "user"))
      })
      yield* Effect.sleep(50)
      const interrupted = yield* post(`/v1/sessions/${sessionId}/interrupt`, "")
      assert.deepStrictEqual(yield* jsonOf<unknown>(interrupted), { live: true })
      assert.deepInclude(yield* jsonOf<object>(yield* turn), { interrupted: true })
    }))

  it.scopedLive("knows nothing of sessions that were begun elsewhere", () =>
    Effect.gen(function*() {
      const { all, ask, post, started } = yield* serving()
      const now = Date.now()
      yield* Context.get(all, SessionRepository).save({
        sessionId: "private",
        status: "open",
        title: "private",
        cwd: "/",
        tags: ["work"],
        createdAt: now,
        updatedAt: now,
        turnCount: 0,
        usage: { inputTokens: 0, outputTokens: 0, cacheReadInputTokens: 0, cacheCreationInputTokens: 0 },
        costUsd: 0,
        durationMs: 0,
        options: { permissionMode: "bypassPermissions" }
      })
      assert.notInclude(
        yield* Effect.promise(async () => (await Effect.runPromise(ask("/v1/sessions"))).text()),
        "private"
      )
      const path = "/v1/sessions/private"
      for (
        const response of [
          yield* ask(path),
          yield* post(`${path}/messages`, { prompt: "hi" }),
          yield* post(`${path}/interrupt`, ""),
          yield* ask(path, { method: "DELETE" })
        ]
      ) {
        assert.strictEqual(response.status, 404)
      }
      assert.lengthOf(yield* started, 0)
      assert.isTrue((yield* Context.get(all, SessionRepository).get("private"))._tag === "Some")
    }))

  it.scopedLive("goes on with a session only under rights that the service has now", () =>
    Effect.gen(function*() {
      const { all, post } = yield* serving({ allow: ["permissionMode", "allowedTools"] })
      const made = yield* jsonOf<View>(
        yield* post("/v1/sessions", { permissionMode: "acceptEdits", allowedTools: ["Bash"] })
      )
      const plain = yield* jsonOf<View>(
        yield* post("/v1/sessions", { permissionMode: "plan", systemPrompt: "Be brief." })
      )
      const kept = Context.get(all, SessionRepository)
      const records = yield* Effect.all([kept.get(made.sessionId), kept.get(plain.sessionId)])
      const later = yield* serving()
      for (const record of records) {
        if (record._tag === "Some") yield* Context.get(later.all, SessionRepository).save(record.value)
      }
      const send = ({ sessionId }: View) => later.post(`/v1/sessions/${sessionId}/messages`, { prompt: "hi" })
      assert.deepStrictEqual(yield* failureOf(yield* send(made)), [403, "OptionRefused"])
      assert.strictEqual((yield* send(plain)).status, 200)
    }))
})

describe("POST /v1/batch", () => {
  const some: Script = {
    respond: (prompt) => prompt === "bad" ? [FakeCli.init(), FakeCli.exit(3)] : FakeCli.answer(prompt)
  }

  it.scopedLive("ends each prompt in order, whatever becomes of the others", () =>
    Effect.gen(function*() {
      const { post } = yield* serving({}, some)
      const response = yield* post("/v1/batch", {
        prompts: ["a", "bad", { prompt: "c", key: "third", maxTurns: 1 }],
        concurrency: 2,
        options: { model: "opus" }
      })
      const { results } = yield* jsonOf<{
        readonly results: ReadonlyArray<{
          readonly status: string
          readonly key: string
          readonly result?: { readonly result: string }
          readonly error?: { readonly type: string }
        }>
      }>(response)
      assert.deepStrictEqual(results.map(({ status }) => status), ["completed", "failed", "completed"])
      assert.deepStrictEqual([results[0]?.result?.result, results[1]?.error?.type, results[2]?.key], [
        "a",
        "CliExitError",
        "third"
      ])
    }))

  it.scopedLive("tells its ends and how far it is as they happen", () =>
    Effect.gen(function*() {
      const { post } = yield* serving({}, some)
      const all = yield* events(yield* post("/v1/batch", { prompts: ["a", "b"] }, sse))
      assert.lengthOf(all.filter(({ event }) => event === "BatchEnd"), 2)
      assert.isTrue(all.some(({ data, event }) => event === "BatchProgress" && data["done"] === true))
      assert.strictEqual(all.at(-1)?.event, "result")
    }))
})

describe("how it is", () => {
  const sick = Layer.succeed(HealthCheck.HealthCheck, {
    check: () =>
      Effect.map(
        Effect.provide(Effect.flatMap(HealthCheck.HealthCheck, (one) => one.check()), HealthCheck.layerNoop),
        (status) => ({
          ...status,
          healthy: false,
          problems: [{
            check: "login" as const,
            severity: "failed" as const,
            detail: "ann@example.org",
            fix: "Log in."
          }]
        })
      ),
    invalidate: Effect.void,
    states: Effect.succeed([]),
    changes: Stream.empty
  })

  it.scopedLive("is ready when Claude Code is, and tells strangers no details", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* (yield* serving()).ask("/ready")).status, 200)
      const { ask } = yield* serving({ token: Redacted.make(token) }, echo, sick)
      const stranger = yield* ask("/ready")
      assert.strictEqual(stranger.status, 503)
      assert.deepStrictEqual(yield* jsonOf<unknown>(stranger), { ready: false, problems: [{ check: "login" }] })
      const friend = yield* ask("/ready", { headers: { authorization: `Bearer ${token}` } })
      assert.include(yield* Effect.promise(() => friend.text()), "ann@example.org")
      assert.strictEqual((yield* ask("/health")).status, 200)
    }))

  it.scopedLive("counts its requests by route and status, and by nothing that a client makes up", () =>
    Effect.gen(function*() {
      const { ask, post } = yield* serving()
      yield* post("/v1/query", { prompt: "hi" })
      yield* ask("/v1/sessions/made-up-id")
      yield* ask("/made-up-path")
      const response = yield* ask("/metrics")
      const text = yield* Effect.promise(() => response.text())
      assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
      assert.match(text, /ccflow_http_requests_total\{[^}]*route="POST \/v1\/query"[^}]*\} \d+/)
      assert.include(text, "GET /v1/sessions/:sessionId")
      assert.notInclude(text, "made-up")
    }))

  it.scopedLive("describes itself at /openapi.json, and on a page that needs nothing else", () =>
    Effect.gen(function*() {
      const { ask } = yield* serving()
      const spec = yield* jsonOf<{ readonly paths: object; readonly components: { readonly securitySchemes: object } }>(
        yield* ask("/openapi.json")
      )
      assert.sameMembers(Object.keys(spec.paths), [
        "/v1/query",
        "/v1/batch",
        "/v1/sessions",
        "/v1/sessions/{sessionId}",
        "/v1/sessions/{sessionId}/messages",
        "/v1/sessions/{sessionId}/interrupt",
        "/health",
        "/ready",
        "/metrics"
      ])
      assert.property(spec.components.securitySchemes, "bearer")
      const page = yield* ask("/docs")
      assert.strictEqual(page.status, 200)
      assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'none'.*connect-src 'self'/)
      assert.notMatch(yield* Effect.promise(() => page.text()), /<(?:script|link|img)[^>]+(?:src|href)=["']https?:/)
    }))

  it.scopedLive("is what its description says: a client made of that works", () =>
    Effect.gen(function*() {
      const { url } = yield* serving({ token: Redacted.make(token) })
      const client = yield* HttpApiClient.make(Api, {
        baseUrl: url,
        transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token))
      })
      const answer = yield* client.queries.query({ payload: { prompt: "hi", timeout: "1 minute" } })
      assert.strictEqual(answer.result, "echo: hi")
      const session = yield* client.sessions.create({ payload: { tags: ["a"] } })
      const turn = yield* client.sessions.send({ path: { sessionId: session.sessionId }, payload: { prompt: "you" } })
      assert.strictEqual(turn.result, "echo: you")
      const { results } = yield* client.queries.batch({ payload: { prompts: ["one"] } })
      assert.strictEqual(results[0]?.result?.result, "echo: one")
      yield* client.sessions.delete({ path: { sessionId: session.sessionId } })
      const error = yield* Effect.flip(client.sessions.get({ path: { sessionId: session.sessionId }, urlParams: {} }))
      assert.include(JSON.stringify(error), "SessionNotFoundError")
    }).pipe(Effect.provide(FetchHttpClient.layer)))

  it.scopedLive("goes on with the client's trace and request id, and logs nothing that was said", () => {
    const lines: Array<string> = []
    const spans: Array<{ readonly name: string; readonly traceId: string; readonly attributes: string }> = []
    const tracer = Tracer.make({
      span: (name, parent, context, links, startTime, kind) => {
        const traceId = parent._tag === "Some" ? parent.value.traceId : "0".repeat(32)
        const attributes = new Map<string, unknown>()
        return {
          _tag: "Span",
          name,
          parent,
          context,
          links,
          kind,
          sampled: true,
          traceId,
          spanId: "1".repeat(16),
          attributes,
          status: { _tag: "Started", startTime },
          attribute: (key, value) => void attributes.set(key, value),
          event: () => {},
          addLinks: () => {},
          end: () => void spans.push({ name, traceId, attributes: JSON.stringify([...attributes]) })
        }
      },
      context: (run) => run()
    })
    return Effect.gen(function*() {
      const logging = Logger.replace(
        Logger.defaultLogger,
        Logger.map(Logger.logfmtLogger, (line) => void lines.push(line))
      )
      const { ask, post } = yield* serving({ token: Redacted.make(token) }, echo, HealthCheck.layerNoop, logging)
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
      const headers = {
        authorization: `Bearer ${token}`,
        "x-request-id": "my-request.1",
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`
      }
      for (const more of [{}, sse]) {
        const response = yield* post("/v1/query", { prompt: "a secret question" }, { ...headers, ...more })
        assert.strictEqual(response.headers.get("x-request-id"), "my-request.1")
        yield* Effect.promise(() => response.text())
      }
      const other = yield* ask("/v1/sessions?search=a+secret+question", {
        headers: { ...headers, "x-request-id": "<made up>" }
      })
      assert.match(other.headers.get("x-request-id") ?? "", /^[0-9a-f-]{36}$/)
      yield* Effect.sleep(20)
      assert.lengthOf(spans.filter(({ name }) => name === "http.server POST /v1/query"), 2)
      const queries = spans.filter(({ name }) => name === "claude.query")
      assert.deepStrictEqual(queries.map((span) => span.traceId), [traceId, traceId])
      assert.lengthOf(lines.filter((line) => line.includes("requestId=my-request.1")), 2)
      const written = JSON.stringify([lines, spans])
      for (const secret of ["secret", token, "00f067aa0ba902b7"]) assert.notInclude(written, secret)
    }).pipe(Effect.withTracer(tracer))
  })
})

describe("a budget that is spent", () => {
  it("is the request's own matter, or one to wait for where it renews", () => {
    const spent = (renewsAt?: number) =>
      answerOf(new BudgetExceededError({ scope: "day", spentUsd: 1, renewsAt, hint: "Wait." }), 1000)
    assert.deepInclude(spent(), { status: 422 })
    const renewing = spent(61_000)
    assert.deepStrictEqual([renewing.status, renewing.body.error.retryAfter], [429, 60])
  })
})

describe("an event on the wire", () => {
  it("is read back as it was, whatever is in it", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.array(
        FastCheck.record({
          event: FastCheck.constantFrom("Text", "Result", "error"),
          data: FastCheck.dictionary(
            FastCheck.string({ unit: "binary" }),
            FastCheck.oneof(
              FastCheck.string({ unit: "binary" }),
              FastCheck.constantFrom("\n\n", "\r", "\r\ndata: x", "\u2028", ": x\n")
            ),
            { maxKeys: 5 }
          )
        }),
        { maxLength: 5 }
      ),
      (sent) => {
        const read = parsed(sent.map((event, index) => frame(event, index)).join(": still here\n\n"))
        assert.deepStrictEqual(
          read.map(({ data, event, id }) => [event, id, JSON.stringify(data)]),
          sent.map(({ data, event }, index) => [event, String(index), JSON.stringify(data)])
        )
      }
    ))
  })
})
