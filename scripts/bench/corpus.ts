import { once } from "node:events"
import { createReadStream, createWriteStream } from "node:fs"
import { mkdir, rename, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { finished } from "node:stream/promises"

/** The same numbers on every machine. */
const random = (seed: number) => {
  let state = seed
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

const words =
  ("the of a to in is that it was for on are with as be at one have this from or had by but some what there " +
    "we can out other were all your when up use word how said each she which their time will way about many then them " +
    "write would like so these her long make thing see him two has look more day could go come did number sound no most " +
    "people my over know water than call first who may down side been now find function returns `value` \"quoted\" \\n")
    .split(" ")

/** Models write these all the time; they keep a chunk from being plain ASCII. */
const accents = ["—", "é", "→", "“so”", "✓", "日本語", "🚀"]

const sessionId = "6f6c2e0b-3a55-4a9c-8d0c-7f1f5f1f9a10"
const toolResultBytes = 100_000
const deltasPerMessage = 940

/**
 * Messages in the shape that the CLI prints with partial messages on, one after the other: of their bytes two thirds are
 * stream events of about 280 bytes, a quarter is one tool result of about 100 KB, the rest mostly assistant lines.
 */
export function* mixed(): Generator<string, never> {
  const next = random(1)
  const pick = <A>(values: ReadonlyArray<A>): A => values[Math.floor(next() * values.length)]!
  const hex = (length: number): string => Array.from({ length }, () => Math.floor(next() * 16).toString(16)).join("")
  const uuid = () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`
  const phrase = (bytes: number): string => {
    let text = ""
    while (text.length < bytes) text += `${next() < 0.01 ? pick(accents) : pick(words)} `
    return text
  }
  for (let n = 1;; n++) {
    const messageId = `msg_${String(n).padStart(8, "0")}`
    const toolUseId = `toolu_${String(n).padStart(8, "0")}`
    const usage = { input_tokens: 25, cache_creation_input_tokens: 0, cache_read_input_tokens: 900, output_tokens: 1 }
    const event = (fields: object) =>
      JSON.stringify({
        type: "stream_event",
        event: fields,
        session_id: sessionId,
        parent_tool_use_id: null,
        uuid: uuid(),
        api_message_id: messageId
      })
    const assistant = (block: object) =>
      JSON.stringify({
        type: "assistant",
        message: {
          id: messageId,
          type: "message",
          role: "assistant",
          model: "claude-opus-5-5",
          content: [block],
          stop_reason: null,
          stop_sequence: null,
          usage,
          context_management: null
        },
        parent_tool_use_id: null,
        session_id: sessionId,
        uuid: uuid(),
        timestamp: "2026-11-22T13:54:30.848Z",
        request_id: `req_${n}`
      })
    yield JSON.stringify({
      type: "system",
      subtype: "status",
      status: "requesting",
      session_id: sessionId,
      uuid: uuid()
    })
    const started = { id: messageId, type: "message", role: "assistant", model: "claude-opus-5-5", content: [], usage }
    yield event({ type: "message_start", message: started })
    yield event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } })
    let text = ""
    for (let i = 0; i < deltasPerMessage; i++) {
      const part = phrase(8 + next() * 24)
      text += part
      yield event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: part } })
    }
    yield assistant({ type: "text", text })
    yield event({ type: "content_block_stop", index: 0 })
    const use = { type: "tool_use", id: toolUseId, name: "Bash" }
    yield event({ type: "content_block_start", index: 1, content_block: { ...use, input: {} } })
    for (const part of ["{\"command\":\"", "cat notes.md\",", "\"description", "\":\"Read the notes\"}"]) {
      yield event({ type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: part } })
    }
    yield assistant({ ...use, input: { command: "cat notes.md", description: "Read the notes" } })
    yield event({ type: "content_block_stop", index: 1 })
    yield event({ type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage })
    yield event({ type: "message_stop" })
    // The CLI says what a tool printed twice: for the model, and in its own form.
    const output = phrase(toolResultBytes / 2 - 500)
    yield JSON.stringify({
      type: "user",
      message: {
        role: "user",
        content: [{ tool_use_id: toolUseId, type: "tool_result", content: output, is_error: false }]
      },
      parent_tool_use_id: null,
      session_id: sessionId,
      uuid: uuid(),
      timestamp: "2026-11-22T13:54:33.688Z",
      tool_use_result: { stdout: output, stderr: "", interrupted: false, isImage: false, noOutputExpected: false }
    })
  }
}

/** How many lines a file has. */
export const linesOf = async (path: string): Promise<number> => {
  let lines = 0
  for await (const part of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes = Buffer.from(part)
    for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) lines++
  }
  return lines
}

/** Writes lines to a file until it has at least so many bytes; what is there already is taken. */
export const corpusFile = async (path: string, bytes: number, keep: (line: string) => boolean): Promise<void> => {
  const size = await stat(path).then((found) => found.size, () => 0)
  if (size >= bytes) return
  await mkdir(dirname(path), { recursive: true })
  const staging = `${path}.part`
  const out = createWriteStream(staging)
  let written = 0
  let block = ""
  for (const line of mixed()) {
    if (!keep(line)) continue
    block += `${line}\n`
    if (block.length < 1 << 20) continue
    const buffer = Buffer.from(block)
    block = ""
    written += buffer.length
    if (!out.write(buffer)) await once(out, "drain")
    if (written >= bytes) break
  }
  out.end()
  await finished(out)
  await rename(staging, path)
}
