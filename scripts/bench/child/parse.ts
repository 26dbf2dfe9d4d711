import { EventEmitter } from "node:events"
import { readFileSync } from "node:fs"
import { Readable, Writable } from "node:stream"
import { parametersOf, report, stopwatch } from "./measure.js"
import { floorParser } from "./raw.js"
import { loadSdk, type SdkProcess } from "./sdk.js"

interface Parameters {
  readonly variant: "floor" | "parser" | "pull" | "stream" | "readline" | "sdk"
  readonly file: string
  /** Bytes of a read, or one line in each. */
  readonly chunk: number | "line"
}

const { chunk, file, variant } = parametersOf<Parameters>()
const bytes = readFileSync(file)

function* chunks(): Generator<Buffer> {
  let from = 0
  while (from < bytes.length) {
    const to = chunk === "line" ? bytes.indexOf(0x0a, from) + 1 : Math.min(bytes.length, from + chunk)
    yield bytes.subarray(from, to)
    from = to
  }
}

const result = Buffer.from(`${
  JSON.stringify({
    type: "result",
    subtype: "success",
    is_error: false,
    result: "done",
    session_id: "6f6c2e0b-3a55-4a9c-8d0c-7f1f5f1f9a10",
    num_turns: 1,
    usage: { input_tokens: 25, output_tokens: 5 },
    total_cost_usd: 0.01
  })
}\n`)

/** Delivers like a pipe: one chunk in each turn of the event loop, when somebody asks. */
const pipe = (): Readable => {
  const all = chunks()
  return new Readable({
    highWaterMark: 64 * 1024,
    read() {
      setImmediate(() => {
        const { done, value } = all.next()
        this.push(done === true ? null : value)
      })
    }
  })
}

const ended = (stream: Readable): Promise<void> => new Promise((resolve) => stream.on("end", resolve))

/** A process in memory, with which the official SDK shakes hands before it takes the output. */
const sdkProcess = (): SdkProcess => {
  const events = new EventEmitter()
  const all = chunks()
  let asked = false
  let sentResult = false
  const stdout: Readable = new Readable({
    highWaterMark: 64 * 1024,
    read() {
      if (asked) setImmediate(() => next())
    }
  })
  const next = () => {
    const { done, value } = all.next()
    if (done !== true) stdout.push(value)
    else if (!sentResult) {
      sentResult = true
      stdout.push(result)
    }
  }
  const lines = floorParser((line) => {
    if (line.type === "user") {
      asked = true
      next()
    }
    if (line.type !== "control_request" || !("request_id" in line)) return
    const response = { subtype: "success", request_id: line.request_id, response: { commands: [], models: [] } }
    stdout.push(`${JSON.stringify({ type: "control_response", response })}\n`)
  })
  const leave = () => {
    if (process.exitCode !== null) return
    process.exitCode = 0
    stdout.push(null)
    setImmediate(() => events.emit("exit", 0, null))
  }
  const stdin = new Writable({
    write(part: Buffer, _encoding, done) {
      lines(part)
      done()
    },
    final(done) {
      leave()
      done()
    }
  })
  const process = Object.assign(events, {
    stdin,
    stdout,
    killed: false,
    exitCode: null as number | null,
    kill: () => {
      leave()
      return true
    }
  })
  return process
}

/** The Effect modules, and a layer whose process lies in memory. */
const library = async () => {
  const Claude = await import("@ccflow/core/Claude")
  const ClaudeConfig = await import("@ccflow/core/ClaudeConfig")
  const CliProcess = await import("@ccflow/core/CliProcess")
  const MessageParser = await import("@ccflow/core/MessageParser")
  const Effect = await import("effect/Effect")
  const Layer = await import("effect/Layer")
  const Stream = await import("effect/Stream")
  const open = Effect.sync(() => {
    const stream = pipe()
    let held: Array<Buffer> = []
    let over: "no" | "result" | "yes" = "no"
    let waiting: (() => void) | undefined
    const wake = () => {
      waiting?.()
      waiting = undefined
    }
    stream.on("data", (part: Buffer) => {
      held.push(part)
      wake()
    })
    stream.on("end", () => {
      held.push(result)
      over = "result"
      wake()
    })
    const take = () => {
      const taken = held
      held = []
      if (over === "result") over = "yes"
      return taken
    }
    return {
      pid: 1,
      stdout: Effect.async<ReadonlyArray<Uint8Array>>((resume) => {
        const answer = () => resume(Effect.succeed(take()))
        if (held.length > 0 || over === "yes") answer()
        else waiting = answer
      }),
      send: () => Effect.succeed(true),
      closeInput: Effect.void,
      interrupt: Effect.void,
      exit: Effect.succeed({ code: 0, signal: null }),
      stderrTail: Effect.succeed("")
    }
  })
  const layer = Claude.layer.pipe(Layer.provide([
    Layer.succeed(CliProcess.CliProcess, { open: () => open }),
    Layer.succeed(ClaudeConfig.ClaudeConfig, { defaults: {} }),
    MessageParser.layer
  ]))
  return { Claude, Effect, Stream, layer }
}

/** Reads everything and gives the number of messages handed out. */
const variants: Record<Parameters["variant"], () => Promise<() => Promise<number>>> = {
  floor: async () => async () => {
    let messages = 0
    const stream = pipe()
    stream.on("data", floorParser(() => messages++))
    await ended(stream)
    return messages
  },
  parser: async () => {
    const MessageParser = await import("@ccflow/core/MessageParser")
    return async () => {
      let messages = 0
      const parser = MessageParser.make()
      const stream = pipe()
      stream.on("data", (part: Buffer) => messages += parser.push([part]).length)
      await ended(stream)
      return messages + parser.end().length
    }
  },
  pull: async () => {
    const { Claude, Effect, layer } = await library()
    let messages = 0
    const read = Effect.gen(function*() {
      const pull = yield* Claude.toPull(Claude.query("go"))
      for (;;) messages += (yield* pull).length
    })
    return async () => {
      await Effect.runPromiseExit(Effect.provide(Effect.scoped(read), layer))
      return messages
    }
  },
  stream: async () => {
    const { Claude, Effect, layer, Stream } = await library()
    return async () => {
      let messages = 0
      await Effect.runPromise(
        Stream.runForEach(Claude.query("go"), () => Effect.sync(() => messages++)).pipe(Effect.provide(layer))
      )
      return messages
    }
  },
  readline: async () => {
    const { createInterface } = await import("node:readline")
    return async () => {
      let messages = 0
      for await (const line of createInterface({ input: pipe() })) {
        JSON.parse(line)
        messages++
      }
      return messages
    }
  },
  sdk: async () => {
    const { query } = await loadSdk()
    return async () => {
      let messages = 0
      const options = {
        includePartialMessages: true,
        pathToClaudeCodeExecutable: file,
        spawnClaudeCodeProcess: sdkProcess
      }
      for await (const message of query({ prompt: "go", options })) if (message.type !== "result") messages++
      return messages
    }
  }
}

const read = await variants[variant]()
const passed = stopwatch()
const messages = await read()
const { cpuMs, wallMs } = passed()
if (messages < bytes.length / 2000) throw new Error(`${messages} messages of ${bytes.length} bytes`)
report({ cpuMs, wallMs, messages })
