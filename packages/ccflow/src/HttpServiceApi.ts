/**
 * What `ccflow serve` answers to, as a description: the paths, what they take and what they give. The OpenAPI document is
 * made of it, and with `HttpApiClient` a typed client is.
 */
import { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Message from "@ccflow/core/Message"
import { SessionOrder } from "@ccflow/core/SessionFilter"
import { SessionStatus, TurnStatus } from "@ccflow/core/SessionRecord"
import * as HttpApi from "@effect/platform/HttpApi"
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiMiddleware from "@effect/platform/HttpApiMiddleware"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApiSecurity from "@effect/platform/HttpApiSecurity"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { failure } from "./internal/serveErrors.js"
import { version } from "./internal/version.js"

export type { Failure } from "./internal/serveErrors.js"

const Count = Schema.Int.pipe(Schema.positive())
const Time = Schema.declare(
  (value: unknown): value is Duration.DurationInput =>
    (typeof value === "number" || typeof value === "string") &&
    Option.exists(Duration.decodeUnknown(value), (time) => Duration.toMillis(time) > 0),
  {
    identifier: "Time",
    description: "a time above 0: milliseconds, or text such as \"5 minutes\"",
    jsonSchema: { anyOf: [{ type: "number" }, { type: "string" }] }
  }
)
const fields = QueryOptions.fields

const Result = Message.Result.annotations({ identifier: "Result" })
const Usage = Message.Usage.annotations({ identifier: "Usage" })

/** The options that a request may always have: none of them runs code or widens what may be done. */
export const optionFields = {
  model: fields.model,
  fallbackModel: fields.fallbackModel,
  systemPrompt: fields.systemPrompt,
  appendSystemPrompt: fields.appendSystemPrompt,
  permissionMode: fields.permissionMode.annotations({
    description: "default, plan or dontAsk. Others are refused unless the operator allows them."
  }),
  disallowedTools: fields.disallowedTools,
  maxTurns: fields.maxTurns,
  maxTokens: fields.maxTokens,
  maxBudgetUsd: fields.maxBudgetUsd,
  taskBudget: fields.taskBudget,
  effort: fields.effort,
  thinking: fields.thinking,
  thinkingDisplay: fields.thinkingDisplay,
  includePartialMessages: fields.includePartialMessages,
  forwardSubagentText: fields.forwardSubagentText,
  tags: fields.tags,
  timeout: Schema.optional(Time),
  context: Schema.optional(Schema.Unknown.annotations({ description: "Data for the model to know." })),
  outputSchema: Schema.optional(
    Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
      description: "The JSON Schema of the answer, which then is in structuredOutput."
    })
  )
}

/** Text, or blocks as the Messages API has them. */
export const PromptBody = Schema.Union(
  Schema.NonEmptyString,
  Schema.NonEmptyArray(Schema.Struct({ type: Schema.String }, { key: Schema.String, value: Schema.Unknown }))
)

/** A question and its options. */
export const QueryBody = Schema.Struct({ prompt: PromptBody, ...optionFields })

/** The options of a session, for all its turns. */
export const SessionBody = Schema.Struct({
  ...optionFields,
  title: fields.title,
  /** Without a turn, until its process is closed. The session stays. */
  idleTimeout: Schema.optional(Time),
  /** Also every message, and not only each turn's prompt and answer. */
  recordMessages: Schema.optional(Schema.Boolean)
})

/** One turn. */
export const TurnBody = Schema.Struct({
  prompt: PromptBody,
  context: optionFields.context,
  timeout: optionFields.timeout
})

/** One prompt of a batch, with options over those of all. */
export const BatchItemBody = Schema.Struct({
  prompt: PromptBody,
  key: Schema.optional(Schema.NonEmptyString),
  priority: Schema.optional(Schema.Number),
  ...optionFields
})

/** Many prompts. */
export const BatchBody = Schema.Struct({
  prompts: Schema.NonEmptyArray(Schema.Union(Schema.NonEmptyString, BatchItemBody)),
  concurrency: Schema.optional(Count),
  /** For all of them together. */
  maxBudgetUsd: fields.maxBudgetUsd,
  options: Schema.optional(Schema.Struct(optionFields))
})

/** A session as it is told. */
export const SessionView = Schema.Struct({
  sessionId: Schema.String,
  status: SessionStatus,
  /** It lives in the service, and waits for a prompt or answers one. */
  live: Schema.Boolean,
  title: Schema.String,
  model: Schema.optional(Schema.String),
  tags: Schema.Array(Schema.String),
  createdAt: Schema.Number,
  updatedAt: Schema.Number,
  turnCount: Schema.Number,
  usage: Usage,
  costUsd: Schema.Number,
  durationMs: Schema.Number
}).annotations({ identifier: "Session" })
export type SessionView = typeof SessionView.Type

/** A turn as it is told. */
export const TurnView = Schema.Struct({
  turnId: Schema.String,
  index: Schema.Number,
  prompt: Schema.Unknown,
  status: TurnStatus,
  startedAt: Schema.Number,
  endedAt: Schema.optional(Schema.Number),
  result: Schema.optional(Schema.String),
  usage: Schema.optional(Usage),
  costUsd: Schema.optional(Schema.Number),
  error: Schema.optional(Schema.Struct({ tag: Schema.String, message: Schema.String }))
})

/** How an item of a batch ended. */
export const BatchEndView = Schema.Struct({
  index: Schema.Number,
  key: Schema.String,
  status: Schema.Literal("completed", "failed", "cancelled"),
  result: Schema.optional(Result),
  error: Schema.optional(Schema.Struct({ type: Schema.String, message: Schema.String, hint: Schema.String })),
  costUsd: Schema.Number,
  durationMs: Schema.Number
}).annotations({ identifier: "BatchEnd" })
export type BatchEndView = typeof BatchEndView.Type

/** Whether requests can be answered, and what is in the way. Details only for those who may ask. */
export const Readiness = Schema.Struct({
  ready: Schema.Boolean,
  problems: Schema.Array(Schema.Struct({
    check: Schema.String,
    detail: Schema.optional(Schema.String),
    fix: Schema.optional(Schema.String)
  }))
})

/** Off the loopback interface, and wherever the service has a token: the header `Authorization: Bearer …`. */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()("ccflow/HttpServiceApi/Authorization", {
  failure: failure(401),
  security: { bearer: HttpApiSecurity.bearer }
}) {}

const sessionId = HttpApiSchema.param("sessionId", Schema.NonEmptyString)
const Page = { limit: Schema.optional(Schema.NumberFromString.pipe(Schema.int(), Schema.between(1, 1000))) }
const streams = "With Accept: text/event-stream the messages come as server-sent events, named by their tag; " +
  "the last one is `result` or `error`."

const queries = HttpApiGroup.make("queries")
  .add(
    HttpApiEndpoint.post("query", "/v1/query").setPayload(QueryBody).addSuccess(Result)
      .annotateContext(OpenApi.annotations({ summary: "Ask", description: streams }))
  )
  .add(
    HttpApiEndpoint.post("batch", "/v1/batch").setPayload(BatchBody)
      .addSuccess(Schema.Struct({ results: Schema.Array(BatchEndView), costUsd: Schema.Number }))
      .annotateContext(OpenApi.annotations({
        summary: "Ask many",
        description: "Ends are in the order of the prompts, and a failure hides no other end. With Accept: " +
          "text/event-stream there are `BatchEnd` and `BatchProgress` as they happen, and `result` at last."
      }))
  )
  .middleware(Authorization)

const sessions = HttpApiGroup.make("sessions")
  .add(
    HttpApiEndpoint.post("create", "/v1/sessions").setPayload(SessionBody)
      .addSuccess(SessionView, { status: 201 })
      .annotateContext(OpenApi.annotations({ summary: "Begin a session" }))
  )
  .add(
    HttpApiEndpoint.get("list", "/v1/sessions")
      .setUrlParams(Schema.Struct({
        ...Page,
        after: Schema.optional(Schema.String),
        status: Schema.optional(SessionStatus),
        tag: Schema.optional(Schema.String),
        search: Schema.optional(Schema.String),
        orderBy: Schema.optional(SessionOrder)
      }))
      .addSuccess(Schema.Struct({ sessions: Schema.Array(SessionView), next: Schema.optional(Schema.String) }))
      .annotateContext(OpenApi.annotations({ summary: "The sessions of this service, the last used first" }))
  )
  .add(
    HttpApiEndpoint.get("get")`/v1/sessions/${sessionId}`
      .setUrlParams(Schema.Struct({ ...Page, after: Schema.optional(Schema.NumberFromString) }))
      .addSuccess(Schema.Struct({
        session: SessionView,
        turns: Schema.Array(TurnView),
        next: Schema.optional(Schema.Number)
      }))
      .annotateContext(OpenApi.annotations({ summary: "A session and its turns" }))
  )
  .add(
    HttpApiEndpoint.del("delete")`/v1/sessions/${sessionId}`
      .annotateContext(OpenApi.annotations({ summary: "Close a session and delete its record" }))
  )
  .add(
    HttpApiEndpoint.post("send")`/v1/sessions/${sessionId}/messages`.setPayload(TurnBody).addSuccess(Result)
      .annotateContext(OpenApi.annotations({ summary: "One turn", description: streams }))
  )
  .add(
    HttpApiEndpoint.post("interrupt")`/v1/sessions/${sessionId}/interrupt`
      .addSuccess(Schema.Struct({ live: Schema.Boolean }))
      .annotateContext(OpenApi.annotations({ summary: "End the turn that runs, with what there is of it" }))
  )
  .middleware(Authorization)

const system = HttpApiGroup.make("system")
  .add(
    HttpApiEndpoint.get("health", "/health").addSuccess(Schema.Struct({ status: Schema.Literal("ok") }))
      .annotateContext(OpenApi.annotations({ summary: "It runs" }))
  )
  .add(
    HttpApiEndpoint.get("ready", "/ready").addSuccess(Readiness)
      .addError(Readiness.annotations({}), { status: 503 })
      .annotateContext(OpenApi.annotations({ summary: "It can answer. Calls no model, and costs nothing" }))
  )
  .add(
    HttpApiEndpoint.get("metrics", "/metrics").addSuccess(HttpApiSchema.Text({ contentType: "text/plain" }))
      .middleware(Authorization)
      .annotateContext(OpenApi.annotations({ summary: "Metrics, as Prometheus reads them" }))
  )

const failures = ([400, 402, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504] as const).map((status) =>
  failure(status)
)

/** The whole of it. */
export class Api extends HttpApi.make("ccflow")
  .add(queries)
  .add(sessions)
  .add(system)
  .addError(Schema.Union(...failures))
  .annotateContext(OpenApi.annotations({
    title: "ccflow",
    version,
    description: "Claude Code over HTTP: queries, sessions and batches."
  }))
{}
