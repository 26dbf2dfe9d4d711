import { spawn } from "node:child_process"
import { parametersOf, report } from "./measure.js"
import { args, floorParser, userLine } from "./raw.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "raw" | "effect" | "facade" | "sdk"
  readonly cli: string
  readonly sessions: number
}

const { cli, sessions, variant } = parametersOf<Parameters>()

/** Opens one conversation and takes it through one turn, so that it idles as a used one does. */
type Open = () => Promise<unknown>

const held: Array<unknown> = []

const variants: Record<Parameters["variant"], () => Promise<Open>> = {
  raw: async () => () =>
    new Promise<void>((resolve) => {
      const child = spawn(cli, args, { stdio: "pipe" })
      held.push(child)
      child.stdout.on("data", floorParser((line) => line.type === "result" ? resolve() : undefined))
      child.stderr.resume()
      child.stdin.write(userLine("go"))
    }),
  effect: async () => {
    const Session = await import("@ccflow/core/Session")
    const NodeClaude = await import("@ccflow/node/NodeClaude")
    const Effect = await import("effect/Effect")
    const ManagedRuntime = await import("effect/ManagedRuntime")
    const Scope = await import("effect/Scope")
    const runtime = ManagedRuntime.make(NodeClaude.layerWith({ cliPath: cli }))
    const scope = Effect.runSync(Scope.make())
    return () =>
      runtime.runPromise(
        Effect.flatMap(Scope.extend(Session.make(), scope), (session) => {
          held.push(session)
          return Session.text(session, "go")
        })
      )
  },
  facade: async () => {
    const { createClient } = await import("ccflow")
    const client = createClient({ cliPath: cli })
    return () => {
      const session = client.session()
      held.push(session)
      return session.sendMessage("go").result
    }
  },
  sdk: async () => {
    const { query } = await loadSdk()
    return () =>
      new Promise<void>((resolve) => {
        const prompts = async function*() {
          yield { type: "user", message: { role: "user", content: "go" }, parent_tool_use_id: null, session_id: "" }
          await new Promise(() => {})
        }
        const running = query({ prompt: prompts(), options: { pathToClaudeCodeExecutable: cli } })
        held.push(running)
        void (async () => {
          for await (const { type } of running) if (type === "result") resolve()
        })()
      })
  }
}

const settled = async (): Promise<NodeJS.MemoryUsage> => {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage()
}

const open = await variants[variant]()
for (let i = 0; i < 20; i++) await open()
const before = await settled()
for (let i = 0; i < sessions; i += 10) await Promise.all(Array.from({ length: 10 }, open))
const after = await settled()
report({
  heapKb: (after.heapUsed - before.heapUsed) / sessions / 1024,
  rssKb: (after.rss - before.rss) / sessions / 1024
})
