import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as ControlProtocol from "../ControlProtocol.js"
import type { Decision, Handler, PermissionRequest } from "../Permissions.js"
import { causeText } from "./causeText.js"
import { CurrentCall, saying } from "./currentCall.js"
import { complaint } from "./schemaIssue.js"

const open = { key: Schema.String, value: Schema.Unknown }

const named = <A, I>(name: string, schema: Schema.Schema<A, I>) =>
  Schema.optionalWith(schema, { nullable: true }).pipe(Schema.fromKey(name))

const CanUseTool = Schema.Struct({
  tool: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("tool_name")),
  input: Schema.Record(open),
  toolUseId: named("tool_use_id", Schema.String),
  agentId: named("agent_id", Schema.String),
  suggestions: named("permission_suggestions", Schema.Array(Schema.Struct({ type: Schema.String }, open))),
  blockedPath: named("blocked_path", Schema.String),
  reason: named("decision_reason", Schema.String),
  title: named("title", Schema.String),
  displayName: named("display_name", Schema.String),
  description: named("description", Schema.String),
  mcpServer: named("mcp_server", Schema.Struct({ name: Schema.String, source: Schema.optional(Schema.String) })),
  requiresUserInteraction: named("requires_user_interaction", Schema.Boolean)
})

const decode = Schema.decodeUnknownEither(CanUseTool)

/** Without this the CLI never asks: it denies. */
export const args: ReadonlyArray<string> = ["--permission-prompt-tool=stdio"]

/** The program's handler as the CLI asks it. An error would deny, too, but without a reason: it is always answered. */
export const handlerOf = (handler: Handler): ControlProtocol.Handler => (asked) => {
  const decoded = decode(asked)
  if (Either.isLeft(decoded)) {
    return Effect.succeed(denial(`The question was not understood (${complaint(decoded.left)}).`))
  }
  const request = requestOf(decoded.right, asked)
  return Effect.suspend(() => handler(request)).pipe(
    Effect.map((decision) => responseOf(request, decision)),
    Effect.catchAllCause((cause) =>
      Effect.logWarning("A permission handler failed, so the tool was denied", cause).pipe(
        Effect.annotateLogs("tool", request.tool),
        Effect.as(denial(`The permission handler failed: ${causeText(cause)}`))
      )
    ),
    // What is undefined is not written.
    Effect.map((response) => ({ ...response, toolUseID: request.toolUseId || undefined })),
    telling(request)
  )
}

// ---------------------------------------------------------------------------

type Response = ReturnType<typeof responseOf>

/** What is asked, and how it was decided. What is no longer wanted is withdrawn. */
const telling = ({ tool, toolUseId }: PermissionRequest) => <A extends Response>(decided: Effect.Effect<A>) =>
  Effect.flatMap(Effect.zip(CurrentCall, Effect.clock), ([{ events, id }, clock]) => {
    if (events.silent()) return decided
    const since = clock.unsafeCurrentTimeMillis()
    const asked = { ...saying(id), tool, toolUseId }
    const told = (decision: "allow" | "deny" | "withdrawn") =>
      Effect.sync(() => {
        const waitedMs = clock.unsafeCurrentTimeMillis() - since
        events.tell({ _tag: "PermissionDecided", ...asked, decision, waitedMs })
      })
    events.tell({ _tag: "PermissionAsked", ...asked })
    return decided.pipe(
      Effect.tap(({ behavior }) => told(behavior === "allow" ? "allow" : "deny")),
      Effect.onInterrupt(() => told("withdrawn"))
    )
  })

const requestOf = (asked: typeof CanUseTool.Type, raw: ControlProtocol.Request): PermissionRequest => ({
  ...asked,
  toolUseId: asked.toolUseId ?? "",
  suggestions: asked.suggestions ?? [],
  requiresUserInteraction: asked.requiresUserInteraction ?? interactive.has(asked.tool),
  raw
})

/** 2.1.197 does not say it. */
const interactive: ReadonlySet<string> = new Set(["AskUserQuestion", "ExitPlanMode"])

const denial = (message: string) => ({ behavior: "deny", message })

const responseOf = (request: PermissionRequest, decision: Decision) => {
  switch (decision._tag) {
    case "Allow":
      return {
        behavior: "allow",
        // Newer versions take no input for the same one; older ones insist.
        updatedInput: decision.input ?? request.input,
        updatedPermissions: decision.rules
      }
    case "Deny":
      return { ...denial(decision.message), interrupt: decision.interrupt === true || undefined }
    default:
      // `Pass`, and what is no decision at all.
      return denial("Nobody allowed it.")
  }
}
