import * as CliFrame from "@ccflow/core/CliFrame"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import type * as f from "./frames.js"
import { recordedFrames } from "./recorded.js"

const schemaOf: Readonly<Record<string, Schema.Schema<unknown>>> = {
  assistant: widen(CliFrame.Assistant),
  user: widen(CliFrame.User),
  result: widen(CliFrame.Result),
  rate_limit_event: widen(CliFrame.RateLimitEvent),
  control_request: widen(CliFrame.ControlRequest),
  control_response: widen(CliFrame.ControlResponse),
  control_cancel_request: widen(CliFrame.ControlCancel),
  "stream_event/message_start": widen(CliFrame.MessageStart),
  "stream_event/content_block_delta": widen(CliFrame.BlockDelta),
  "stream_event/message_delta": widen(CliFrame.MessageDelta),
  "stream_event/message_stop": widen(CliFrame.MessageStop),
  "stream_event/content_block_start": widen(CliFrame.StreamEvent),
  "stream_event/content_block_stop": widen(CliFrame.StreamEvent),
  "system/init": widen(CliFrame.Init),
  "system/api_retry": widen(CliFrame.ApiRetry),
  "system/permission_denied": widen(CliFrame.PermissionDenied),
  "system/compact_boundary": widen(CliFrame.CompactBoundary),
  "system/task_started": widen(CliFrame.TaskStarted),
  "system/task_progress": widen(CliFrame.TaskProgress),
  "system/task_updated": widen(CliFrame.TaskUpdated),
  "system/task_notification": widen(CliFrame.TaskNotification),
  "system/background_tasks_changed": widen(CliFrame.BackgroundTasks),
  "system/hook_started": widen(CliFrame.Hook),
  "system/hook_response": widen(CliFrame.Hook)
}

function widen<A, I>(schema: Schema.Schema<A, I>): Schema.Schema<unknown> {
  return Schema.make(schema.ast)
}

const kindOf = ({ event, subtype, type }: f.Frame): string => {
  if (type === "system") return `system/${String(subtype)}`
  const inner: unknown = typeof event === "object" && event !== null ? Reflect.get(event, "type") : undefined
  return inner === undefined ? String(type) : `${String(type)}/${String(inner)}`
}

const isNotice = (kind: string) => CliFrame.notices.has(kind) || CliFrame.systemNotices.has(kind.replace("system/", ""))

describe("the schemas of the CLI's lines", () => {
  it("know every kind of line that either version was recorded to print", () => {
    const kinds = [...new Set(recordedFrames.map(kindOf))]
    assert.deepStrictEqual(kinds.filter((kind) => schemaOf[kind] === undefined && !isNotice(kind)), [])
    assert.isAbove(kinds.length, 15)
  })

  it.each(recordedFrames.map((frame) => ({ kind: kindOf(frame), frame })))("fit a real $kind", ({ frame, kind }) => {
    const schema = schemaOf[kind] ?? widen(CliFrame.Notice)
    assert.isTrue(Schema.is(schema)(frame))
  })

  it("do not claim one kind twice", () => {
    for (const subtype of CliFrame.systemNotices) assert.isUndefined(schemaOf[`system/${subtype}`])
    for (const type of CliFrame.notices) assert.isUndefined(schemaOf[type])
  })
})
