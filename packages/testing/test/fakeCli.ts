import { CliProcess, defaultGraces } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/TestClock"

export type Frame = Readonly<Record<string, unknown>>

/** The value at a dotted path. */
export const at = (value: unknown, path: string): unknown =>
  path.split(".").reduce<unknown>((inner, key) => (inner as Frame | null | undefined)?.[key], value)

/** Uuids that a story tells by their last digit. */
export const uuid = (n: number) => `aaaaaaaa-0000-4000-8000-00000000000${n}`
const digits = (uuids: unknown) => Array.isArray(uuids) ? ` [${uuids.map((one) => String(one).at(-1)).join()}]` : ""

const wordOf = (frame: Frame): string => {
  const uuids = digits(frame["user_message_uuids"])
  switch (frame["type"]) {
    case "command_lifecycle":
      return `${frame["state"]} ${String(frame["command_uuid"]).at(-1)}`
    case "system":
      return `${frame["subtype"]}${frame["state"] === undefined ? "" : ` ${frame["state"]}`}${uuids}`
    case "stream_event":
      return `${at(frame, "event.type")}${uuids}`
    case "user": {
      if (frame["isReplay"] === true) return `replay ${String(frame["uuid"]).at(-1)}`
      if (at(frame, "message.content.0.type") !== "tool_result") return String(at(frame, "message.content.0.text"))
      return at(frame, "message.content.0.is_error") === true ? "tool error" : "tool result"
    }
    case "assistant":
      return `assistant${frame["aborted"] === true ? " aborted" : ""}${uuids}`
    case "result":
      return `result ${frame["terminal_reason"] ?? frame["local_command"]}${
        frame["origin"] === undefined ? "" : " of its own"
      }${uuids}`
    case "control_request":
      return String(at(frame, "request.subtype"))
    default:
      return String(frame["type"])
  }
}
/** What was printed, in order, short enough to be read. */
export const story = (frames: ReadonlyArray<Frame>): ReadonlyArray<string> => frames.map(wordOf)

/** Starts a fake CLI and reads all that it prints. */
export const start = (args: ReadonlyArray<string> = [], env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function*() {
    const cli = yield* (yield* CliProcess).open({ command: "claude", args, env, files: [], graces: defaultGraces })
    const frames: Array<Frame> = []
    let ended = false
    yield* Effect.forkScoped(Effect.gen(function*() {
      const decoder = new TextDecoder()
      for (;;) {
        const chunks = yield* cli.stdout
        if (chunks.length === 0) break
        const text = chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("")
        frames.push(...text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Frame))
      }
      ended = true
    }))
    const send = (...lines: ReadonlyArray<unknown>) =>
      Effect.zipRight(
        cli.send(lines.map((line) => `${JSON.stringify(line)}\n`).join("")),
        TestClock.adjust("0 millis")
      )
    const prompt = (content: unknown, n?: number) => ({
      type: "user",
      message: { role: "user", content },
      ...n !== undefined && { uuid: uuid(n) }
    })
    let asked = 0
    return {
      cli,
      frames,
      ended: () => ended,
      send,
      line: prompt,
      prompt: (content: unknown, n?: number) => send(prompt(content, n)),
      /** The answer to a control request. */
      control: (subtype: string, fields: Frame = {}) =>
        Effect.gen(function*() {
          const id = `req-${++asked}`
          yield* send({ type: "control_request", request_id: id, request: { subtype, ...fields } })
          return frames.map((frame) => frame["response"]).find((response) => at(response, "request_id") === id)
        }),
      /** Answers the oldest request of the CLI that has no answer. */
      answer: (response: Frame, error?: string) => {
        const answered = new Set(frames.filter((frame) => frame["answered"] === true))
        const request = frames.find((frame) => frame["type"] === "control_request" && !answered.has(frame))!
        frames.splice(frames.indexOf(request), 1, { ...request, answered: true })
        const { request_id } = request
        return send({
          type: "control_response",
          response: error === undefined
            ? { subtype: "success", request_id, response }
            : { subtype: "error", request_id, error }
        })
      },
      /** What it asks the program, without the envelope. */
      asked: () => frames.filter((frame) => frame["type"] === "control_request").map((frame) => frame["request"]),
      story: () => story(frames),
      results: () => frames.filter((frame) => frame["type"] === "result")
    }
  })
