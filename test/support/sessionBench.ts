import type * as Claude from "@ccflow/core/Claude"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import { appendText, is, type Message, type Result } from "@ccflow/core/Message"
import type * as Session from "@ccflow/core/Session"
import * as NodeClaude from "@ccflow/node/NodeClaude"
import { Effect, Fiber, type Scope, Stream } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { eventually, processesWith } from "../fixtures/lifecycle/processes.js"
import { echoBrain } from "./EchoBrain.js"
import * as Api from "./MessagesApi.js"
import { type SandboxHome, sandboxHome } from "./RealCli.js"
import { sandboxedOptions } from "./throughLibrary.js"

export interface Setting {
  /** Left out, a brain that remembers what it was told. */
  readonly replies?: Api.Script
  readonly warm?: number
  readonly options?: Parameters<typeof NodeClaude.layerWith>[0]
}

/** What a test of sessions on the real CLI has beside them. */
export interface Scene {
  readonly api: Api.MessagesApi
  readonly home: SandboxHome
}

/** The processes that a session has had, or those of a test's sandbox: by what is in their arguments. */
export const processesOf = (session: Session.Session): Effect.Effect<ReadonlyArray<number>> =>
  Effect.map(session.id, processesWith)

/** The CLI tells a result before its transcript has it: who kills it then takes the turn along. */
export const kept = ({ home }: Scene, text: string): Effect.Effect<void> =>
  soon(`the transcript has "${text}"`, () => {
    const folder = join(home.path, ".claude", "projects")
    return readdirSync(folder, { recursive: true }).map(String).filter((name) => name.endsWith(".jsonl"))
      .some((name) => readFileSync(join(folder, name), "utf8").includes(text))
  })

export const soon = (what: string, holds: () => boolean): Effect.Effect<void> =>
  Effect.promise(() => eventually(what, holds))

/** Plays a scene with one CLI, stand-in and home of its own; its sessions are closed with it. */
export const play = async <E>(
  path: string,
  { options = {}, replies = echoBrain, warm = 0 }: Setting,
  test: (scene: Scene) => Effect.Effect<void, E, Claude.Claude | Scope.Scope>
): Promise<void> => {
  await using home = await sandboxHome()
  await using api = await Api.startMessagesApi(replies)
  const sandbox = sandboxedOptions({
    path,
    url: api.url,
    home: home.path,
    extra: { CLAUDE_CODE_MAX_RETRIES: "0" }
  })
  const layer = NodeClaude.layerWith({
    cwd: home.project,
    timeout: "30 seconds",
    allowedTools: ["Bash", "Write", "Agent", "Task"],
    warm,
    retry: false,
    circuitBreaker: false,
    ...options,
    cliPath: path,
    env: { ...sandbox.env, ...options.env }
  })
  await Effect.runPromise(Effect.scoped(test({ api, home })).pipe(Effect.provide(layer)))
}

/** A turn that goes on while the test does something else. */
export interface Followed {
  readonly messages: ReadonlyArray<Message>
  /** Waits for a message. */
  readonly says: (what: string, holds: (message: Message) => boolean) => Effect.Effect<void, ClaudeError>
  /** Waits for the end: the result, or why it failed. */
  readonly end: Effect.Effect<Result, ClaudeError>
}

export const follow = (
  stream: Stream.Stream<Message, ClaudeError>
): Effect.Effect<Followed, never, Scope.Scope> => {
  const messages: Array<Message> = []
  return Effect.map(
    Effect.forkScoped(Stream.runForEach(stream, (message) => Effect.sync(() => messages.push(message)))),
    (fiber) => ({
      messages,
      says: (what, holds) =>
        Effect.raceFirst(
          soon(`the CLI says ${what}`, () => messages.some(holds)),
          Effect.zipRight(Fiber.join(fiber), Effect.never)
        ),
      end: Effect.map(Fiber.join(fiber), () => {
        const result = messages.findLast(is("Result"))
        if (result === undefined) throw new Error("a turn that ended well has a result")
        return result
      })
    })
  )
}

/** The words that the main thread said. */
export const wordsOf = (messages: ReadonlyArray<Message>): string => messages.reduce(appendText, "")

/** A command that waits for a file: a single long `sleep` is something that the CLI refuses. */
export const waitFor = (file: string): string => `while [ ! -e '${file}' ]; do sleep 0.1; done; echo gone on`

export const bash = (command: string, more: object = {}): Api.Reply =>
  Api.toolUse("Bash", { command, description: "Wait", ...more })
