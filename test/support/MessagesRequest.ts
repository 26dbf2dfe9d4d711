import type { IncomingHttpHeaders } from "node:http"

export type RequestKind = "main" | "auxiliary" | "countTokens" | "other"

export interface MessagesRequest {
  readonly method: string
  /** Without the query string. */
  readonly path: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly apiKey: string | undefined
  readonly authorization: string | undefined
  /** The parsed JSON, or the text when it is none. */
  readonly body: unknown
  readonly kind: RequestKind
  /** Position among the main requests; -1 for all others. */
  readonly index: number
  readonly model: string
  readonly stream: boolean
  readonly system: string
  readonly messages: ReadonlyArray<{ readonly role: string; readonly blocks: ReadonlyArray<RequestBlock> }>
  readonly tools: ReadonlyArray<string>
  /** What the user wrote, turn by turn, without the reminders the CLI wraps around it and without tool results. */
  readonly userTexts: ReadonlyArray<string>
  readonly lastUserText: string
  /** Results of the tools called by the reply before this request. */
  readonly toolResults: ReadonlyArray<ToolResultBlock>
  readonly receivedAt: number
}

export interface RequestBlock {
  readonly type: string
  readonly text: string
  readonly raw: Readonly<Record<string, unknown>>
}

export interface ToolResultBlock {
  readonly id: string
  readonly text: string
  readonly isError: boolean
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const asString = (value: unknown): string => typeof value === "string" ? value : ""

const asList = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : asList(content).flatMap((part) => isRecord(part) && part["type"] === "text" ? [asString(part["text"])] : []).join(
      "\n"
    )

const toBlocks = (content: unknown): ReadonlyArray<RequestBlock> =>
  typeof content === "string"
    ? [{ type: "text", text: content, raw: { type: "text", text: content } }]
    : asList(content).filter(isRecord).map((raw) => ({
      type: asString(raw["type"]),
      text: raw["type"] === "text" ? asString(raw["text"]) : textOf(raw["content"]),
      raw
    }))

const withoutReminders = (value: string): string =>
  value.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, "").trim()

const userText = (list: ReadonlyArray<RequestBlock>): string =>
  list.filter((block) => block.type === "text").map((block) => withoutReminders(block.text)).filter((part) =>
    part !== ""
  )
    .join("\n\n")

const parse = (raw: string): unknown => {
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}

/** The CLI asks small things on the side: whether a model exists, a title for the session, a summary of a web page. */
const isAuxiliary = (body: Readonly<Record<string, unknown>>, system: string): boolean => {
  const maxTokens = typeof body["max_tokens"] === "number" ? body["max_tokens"] : 0
  const hasTools = asList(body["tools"]).length > 0
  if (maxTokens === 1) return true
  if (hasTools) return false
  return /\btitle\b/i.test(system.slice(0, 2_000)) && isRecord(body["output_config"]) &&
      "format" in body["output_config"]
    || (body["stream"] !== true && maxTokens <= 4_096)
}

const kindOf = (method: string, path: string, body: unknown, system: string): RequestKind => {
  if (method !== "POST") return "other"
  if (path === "/v1/messages/count_tokens") return "countTokens"
  if (path !== "/v1/messages" || !isRecord(body)) return "other"
  return isAuxiliary(body, system) ? "auxiliary" : "main"
}

export interface RawRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly nextIndex: number
}

export const parseRequest = (raw: RawRequest): MessagesRequest => {
  const path = raw.url.split("?")[0] ?? ""
  const body = parse(raw.body)
  const record = isRecord(body) ? body : {}
  const system = textOf(record["system"])
  const messages = asList(record["messages"]).filter(isRecord).map((item) => ({
    role: asString(item["role"]),
    blocks: toBlocks(item["content"])
  }))
  const kind = kindOf(raw.method, path, body, system)
  const userTexts = messages.filter((item) => item.role === "user").map((item) => userText(item.blocks))
    .filter((part) => part !== "")
  const lastUser = messages.filter((item) => item.role === "user").at(-1)
  const apiKey = raw.headers["x-api-key"]
  return {
    method: raw.method,
    path,
    url: raw.url,
    headers: raw.headers,
    apiKey: Array.isArray(apiKey) ? apiKey[0] : apiKey,
    authorization: raw.headers.authorization,
    body,
    kind,
    index: kind === "main" ? raw.nextIndex : -1,
    model: asString(record["model"]),
    stream: record["stream"] === true,
    system,
    messages,
    tools: asList(record["tools"]).filter(isRecord).map((tool) => asString(tool["name"])),
    userTexts,
    lastUserText: userTexts.at(-1) ?? "",
    toolResults: (lastUser?.blocks ?? []).filter((block) => block.type === "tool_result").map((block) => ({
      id: asString(block.raw["tool_use_id"]),
      text: block.text,
      isError: block.raw["is_error"] === true
    })),
    receivedAt: Date.now()
  }
}
