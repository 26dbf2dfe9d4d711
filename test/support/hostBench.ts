import type { ClaudeOptions } from "@ccflow/core/Claude"
import * as Claude from "@ccflow/core/Claude"
import type { Message } from "@ccflow/core/Message"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { Effect, Layer, Logger, Stream } from "effect"
import * as Api from "./MessagesApi.js"
import type { SandboxHome } from "./RealCli.js"
import { sandboxedOptions } from "./throughLibrary.js"

/** What a query of an Effect program came to on the real CLI, and what the API was asked for it. */
export interface Hosted {
  readonly messages: ReadonlyArray<Message>
  readonly requests: ReadonlyArray<Api.MessagesRequest>
  readonly error: unknown
}

export interface Hosting {
  readonly prompt?: string
  readonly replies: Api.Script
  readonly env?: Readonly<Record<string, string>>
  /** Takes the stream in place of reading it at once. */
  readonly reading?: <E, R>(messages: Stream.Stream<Message, E, R>) => Stream.Stream<Message, E, R>
}

/** One query with a stand-in of its own: what a program decides within the CLI's loop cannot go through the facade. */
export const askHosted = async (
  cli: { readonly path: string },
  home: SandboxHome,
  options: ClaudeOptions,
  { env = {}, prompt = "go", reading = (messages) => messages, replies }: Hosting
): Promise<Hosted> => {
  await using api = await Api.startMessagesApi(replies)
  const { cliPath, env: sandbox } = sandboxedOptions({
    path: cli.path,
    url: api.url,
    home: home.path,
    extra: { CLAUDE_CODE_MAX_RETRIES: "0", ...env }
  })
  const seen: Array<Message> = []
  const query = reading(Claude.query(prompt, {
    cwd: home.project,
    timeout: "30 seconds",
    cliPath,
    ...options,
    env: { ...sandbox, ...options.env }
  })).pipe(
    Stream.runForEach((message) => Effect.sync(() => seen.push(message))),
    Effect.match({ onFailure: (error): unknown => error, onSuccess: () => undefined }),
    // Handlers fail on purpose here.
    Effect.provide(Layer.merge(NodeClaude.layer, Logger.remove(Logger.defaultLogger)))
  )
  const error = await Effect.runPromise(query)
  return { messages: seen, requests: api.mainRequests(), error }
}
