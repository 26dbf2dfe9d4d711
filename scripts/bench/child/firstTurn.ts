import { spawn } from "node:child_process"
import { setTimeout as sleep } from "node:timers/promises"
import { parametersOf, report } from "./measure.js"
import { args, floorParser, rawQuery, userLine } from "./raw.js"
import { loadSdk } from "./sdk.js"

interface Parameters {
  readonly variant: "rawCold" | "rawWarm" | "cold" | "prewarmed" | "pool" | "poolQuery" | "sdkCold" | "sdkStartup"
  readonly cli: string
}

const { cli, variant } = parametersOf<Parameters>()

const prompt = "What is 2+2?"

/** Until the result of a first prompt, from when everything that can be done before it has been done. */
type First = () => Promise<unknown>

/** What a program does between the start and the first prompt. The CLI goes on warming up after it has answered. */
const rest = 500

/** Not in a `for await`: who leaves one waits until the process has gone. */
const firstOf = async <Message>(
  messages: AsyncIterable<Message>,
  wanted: (message: Message) => boolean
): Promise<void> => {
  const iterator = messages[Symbol.asyncIterator]()
  for (;;) {
    const next = await iterator.next()
    if (next.done === true || wanted(next.value)) return
  }
}

const rawWarm = async (): Promise<First> => {
  const child = spawn(cli, args, { stdio: "pipe" })
  let seen = (_: string): void => {}
  child.stdout.on("data", floorParser((line) => seen(line.type)))
  child.stderr.resume()
  const until = (type: string) =>
    new Promise<void>((resolve) => seen = (found) => found === type ? resolve() : undefined)
  const initialize = { type: "control_request", request_id: "1", request: { subtype: "initialize" } }
  child.stdin.write(`${JSON.stringify(initialize)}\n`)
  await until("control_response")
  await sleep(rest)
  return () => {
    child.stdin.write(userLine(prompt))
    return until("result")
  }
}

const client = async (warm?: number) => {
  const { createClient } = await import("ccflow")
  return createClient({ cliPath: cli, ...(warm === undefined ? {} : { warm }) })
}

/** The client's first call makes its services, and the pool with them. */
const pooled = async () => {
  const own = await client(1)
  const idle = own.session({ model: "opus" })
  await idle.prewarm()
  await idle.close()
  await sleep(1000 + rest)
  return own
}

const variants: Record<Parameters["variant"], () => Promise<First>> = {
  rawCold: async () => () =>
    new Promise((resolve, reject) => {
      rawQuery(cli, prompt, (line) => line.type === "result" ? resolve(line) : undefined).catch(reject)
    }),
  rawWarm,
  cold: async () => {
    const own = await client()
    return () => own.session().sendMessage(prompt).result
  },
  prewarmed: async () => {
    const session = (await client()).session()
    await session.prewarm()
    await sleep(rest)
    return () => session.sendMessage(prompt).result
  },
  pool: async () => {
    const own = await pooled()
    return () => own.session().sendMessage(prompt).result
  },
  poolQuery: async () => {
    const own = await pooled()
    return () => firstOf(own.query(prompt), ({ _tag }) => _tag === "Result")
  },
  sdkCold: async () => {
    const { query } = await loadSdk()
    return () =>
      firstOf(query({ prompt, options: { pathToClaudeCodeExecutable: cli } }), ({ type }) => type === "result")
  },
  sdkStartup: async () => {
    const { startup } = await loadSdk()
    const warm = await startup({ options: { pathToClaudeCodeExecutable: cli } })
    await sleep(rest)
    return () => firstOf(warm.query(prompt), ({ type }) => type === "result")
  }
}

const first = await variants[variant]()
const startedAt = performance.now()
await first()
report({ resultMs: performance.now() - startedAt })
