import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { median } from "../statistics.js"
import { parametersOf, report, stopwatch } from "./measure.js"
import { args, floorParser, rawQuery, userLine } from "./raw.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "raw" | "facade" | "effect" | "sdk" | "rawResume" | "facadeResume"
  readonly cli: string
  readonly turns: number
}

const { cli, turns, variant } = parametersOf<Parameters>()

/** One conversation: `turn` sends a prompt, and comes back with its result. */
interface Conversation {
  readonly turn: (index: number) => Promise<unknown>
  readonly end: () => Promise<unknown> | void
}

const prompt = (index: number): string => `What is ${index}+${index}?`

/** The least that a warm turn can cost: one line out, lines in until the result. */
const raw = async (): Promise<Conversation> => {
  const child = spawn(cli, args, { stdio: "pipe" })
  let done = (): void => {}
  child.stdout.on("data", floorParser((line) => line.type === "result" ? done() : undefined))
  child.stderr.resume()
  return {
    turn: (index) =>
      new Promise<void>((resolve) => {
        done = resolve
        child.stdin.write(userLine(prompt(index)))
      }),
    end: () => {
      child.stdin.end()
    }
  }
}

const facade = async (): Promise<Conversation> => {
  const { createClient } = await import("ccflow")
  const session = createClient({ cliPath: cli }).session()
  return { turn: (index) => session.sendMessage(prompt(index)).result, end: () => session.close() }
}

const effect = async (): Promise<Conversation> => {
  const Session = await import("@ccflow/core/Session")
  const NodeClaude = await import("@ccflow/node/NodeClaude")
  const Effect = await import("effect/Effect")
  const ManagedRuntime = await import("effect/ManagedRuntime")
  const Scope = await import("effect/Scope")
  const Stream = await import("effect/Stream")
  const runtime = ManagedRuntime.make(NodeClaude.layerWith({ cliPath: cli }))
  const scope = Effect.runSync(Scope.make())
  const session = await runtime.runPromise(Scope.extend(Session.make(), scope))
  return {
    turn: (index) => runtime.runPromise(Stream.runDrain(session.send(prompt(index)))),
    end: () => runtime.runPromise(session.close)
  }
}

const sdk = async (): Promise<Conversation> => {
  const { query } = await loadSdk()
  let next = (_: string | undefined): void => {}
  const prompts = async function*() {
    for (;;) {
      const text = await new Promise<string | undefined>((resolve) => next = resolve)
      if (text === undefined) return
      yield { type: "user", message: { role: "user", content: text }, parent_tool_use_id: null, session_id: "" }
    }
  }
  let done = (): void => {}
  const reading = (async () => {
    for await (const message of query({ prompt: prompts(), options: { pathToClaudeCodeExecutable: cli } })) {
      if (message.type === "result") done()
    }
  })()
  return {
    turn: (index) =>
      new Promise<void>((resolve) => {
        done = resolve
        // The generator asks for its next prompt after it has been resumed.
        setImmediate(() => next(prompt(index)))
      }),
    end: () => {
      next(undefined)
      return reading
    }
  }
}

const rawResume = async (): Promise<Conversation> => {
  const id = randomUUID()
  return {
    turn: (index) => rawQuery(cli, prompt(index), () => {}, [index === 0 ? `--session-id=${id}` : `--resume=${id}`]),
    end: () => {}
  }
}

const facadeResume = async (): Promise<Conversation> => {
  const { createClient } = await import("ccflow")
  const client = createClient({ cliPath: cli })
  const id = randomUUID()
  return {
    turn: (index) => client.query(prompt(index), index === 0 ? { sessionId: id } : { resume: id }).result,
    end: () => client.close()
  }
}

const conversation = await { raw, facade, effect, sdk, rawResume, facadeResume }[variant]()
await conversation.turn(0)
await conversation.turn(1)
const times: Array<number> = []
const passed = stopwatch()
for (let index = 2; index < turns; index++) {
  const startedAt = performance.now()
  await conversation.turn(index)
  times.push(performance.now() - startedAt)
}
const { cpuMs } = passed()
await conversation.end()
report({ turnMs: median(times), cpuMs: cpuMs / times.length })
