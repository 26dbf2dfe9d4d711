import * as AnthropicClaude from "@ccflow/anthropic/AnthropicClaude"
import type { QueryOptions } from "@ccflow/core/AgentOptions"
import * as Claude from "@ccflow/core/Claude"
import { ClaudeConfig } from "@ccflow/core/ClaudeConfig"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import type { Message } from "@ccflow/core/Message"
import * as Policies from "@ccflow/core/Policies"
import { assert } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import {
  type MessageReply,
  type MessagesApi,
  type Script,
  startMessagesApi
} from "../../../test/support/MessagesApi.js"
import { toEvents, toSse } from "../../../test/support/MessagesWire.js"
import { planted } from "../../../test/support/planted.js"

export const { apiKey } = planted

/** What a query gave before it ended, and how it ended. */
export const collect = (prompt: Claude.Prompt, options?: Claude.ClaudeOptions) =>
  Effect.gen(function*() {
    const seen: Array<Message> = []
    const end = yield* Claude.query(prompt, options).pipe(
      Stream.runForEach((message) => Effect.sync(() => seen.push(message))),
      Effect.either
    )
    return { seen, error: end._tag === "Left" ? end.left : undefined }
  })

export const failure = (prompt: Claude.Prompt, options?: Claude.ClaudeOptions) =>
  Effect.map(collect(prompt, options), ({ error }): ClaudeError => error ?? assert.fail("the query ended well"))

export const tags = (messages: ReadonlyArray<Message>) => messages.map((message) => message._tag)

export const config = (defaults: QueryOptions = {}) => Layer.succeed(ClaudeConfig, { defaults })

/** Over the loopback stand-in of the API, without policies. */
export const withApi = <A, E>(
  script: Script,
  test: (api: MessagesApi) => Effect.Effect<A, E, Claude.Claude>,
  options: Partial<AnthropicClaude.AnthropicOptions> = {},
  policies: Layer.Layer<Policies.Policies> = Policies.layerNoop
) =>
  Effect.scoped(Effect.gen(function*() {
    const api = yield* Effect.acquireRelease(
      Effect.promise(() => startMessagesApi(script)),
      (started) => Effect.promise(started.close)
    )
    return yield* test(api).pipe(
      Effect.provide(
        AnthropicClaude.layerWith({ apiKey: Redacted.make(apiKey), baseUrl: api.url, ...options }).pipe(
          Layer.provide([config(), policies])
        )
      )
    )
  }))

/** Without a network: what is answered, and what was asked. */
export const scripted = (answer: (request: Record<string, unknown>, index: number) => Response | Promise<Response>) => {
  const requests: Array<{ readonly url: string; readonly headers: Headers; readonly body: Record<string, unknown> }> =
    []
  const fetch: typeof globalThis.fetch = async (url, init) => {
    const body = JSON.parse(String(init?.body)) as Record<string, unknown>
    requests.push({ url: String(url), headers: new Headers(init?.headers), body })
    return answer(body, requests.length - 1)
  }
  return { fetch, requests }
}

export const withFetch = (
  fetch: typeof globalThis.fetch,
  defaults?: QueryOptions,
  policies: Layer.Layer<Policies.Policies> = Policies.layerNoop
) =>
  AnthropicClaude.layerWith({ apiKey: Redacted.make(apiKey), fetch }).pipe(Layer.provide([config(defaults), policies]))

export const streamOf = (events: Iterable<string>): Response =>
  new Response(
    new ReadableStream({
      start: (controller) => {
        for (const event of events) controller.enqueue(new TextEncoder().encode(event))
        controller.close()
      }
    }),
    { headers: { "content-type": "text/event-stream" } }
  )

export const sse = (reply: MessageReply, model = "claude-opus-5-5"): ReadonlyArray<string> =>
  toEvents(reply, { message: "msg_1", nextTool: () => "toolu_1", model }).map(({ event }) => toSse(event))

/** All that can be printed of an error. */
export const printed = (error: unknown): string =>
  [String(error), JSON.stringify(error), error instanceof Error ? error.stack : ""].join("\n")
