// Who it is: the session that its flags name, what it has cost, and what is kept of a conversation between processes: one
// file a session in the script's folder `memory`, a line a fact.
import { randomUUID } from "node:crypto"
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Dialogue } from "../../src/internal/protocol/dialogue.mjs"
import { Session } from "../../src/internal/protocol/session.mjs"
import { blocksOf, promptOf } from "../../src/internal/protocol/turn.mjs"
import { attempt, emit } from "./output.mjs"
import { flags, script, state } from "./state.mjs"

/** The prompts and their uuids that the conversation had before, and what they cost. */
export const memory = { prompts: 0, uuids: new Set(), spent: [] }

const fileOf = (session) => join(script.memory, `${session}.ndjson`)

/** Adds a fact. A line that a crash has cut short is not read again. */
const keep = (session, fact) => script.memory && appendFileSync(fileOf(session), `${JSON.stringify(fact)}\n`)

/** Whether there is a conversation of this id, as far as is known. */
export const exists = (session) => !script.memory || existsSync(fileOf(session))

const MODELS = {
  default: "claude-opus-5-5",
  opus: "claude-opus-5-5",
  sonnet: "claude-sonnet-5-5",
  haiku: "claude-haiku-5-5"
}

// Tokens and money: a message adds an entry to the ledger, a result bills what is new.
const total = (entries, key) => entries.reduce((sum, entry) => sum + entry[key], 0)
const usageByModel = (entries) =>
  Object.fromEntries([...new Set(entries.map(({ model }) => model))].map((model) => {
    const own = entries.filter((entry) => entry.model === model)
    return [model, {
      inputTokens: total(own, "input"),
      outputTokens: total(own, "output"),
      cacheReadInputTokens: 0,
      cacheCreationInputTokens: 0,
      webSearchRequests: 0,
      contextWindow: 1e6,
      costUSD: total(own, "cost")
    }]
  }))

class ProcessSession extends Session {
  named = true
  account = { tokenSource: "none", apiKeySource: "none", apiProvider: "firstParty" }
  contextWindow = 1e6
  models = Object.entries(MODELS).map(([value, resolvedModel]) => ({ value, resolvedModel, displayName: value }))
  surroundings = {
    cwd: process.cwd(),
    original_cwd: process.cwd(),
    tools: ["Task", "Bash", "Edit", "Read", "Write"],
    slash_commands: ["clear", "compact"],
    agents: ["general-purpose"],
    skills: [],
    plugins: []
  }
  ledger = []
  billed = 0
  requests = 0

  newId() {
    return randomUUID()
  }
  mark(frame) {
    const own = { session_id: this.id, uuid: randomUUID() }
    if (frame.type !== "assistant" && frame.type !== "user") return own
    const [block] = blocksOf(frame)
    return {
      ...own,
      timestamp: new Date().toISOString(),
      ...frame.type === "assistant" && { request_id: `req_fake_${++this.requests}` },
      ...block?.type === "tool_result" && { tool_use_result: block.content }
    }
  }
  recall() {
    this.#read()
    if (this.modern) this.ledger = memory.spent
    this.billed = this.ledger.length
  }
  #read() {
    const { id, resumed } = this
    if (!script.memory) return
    mkdirSync(script.memory, { recursive: true })
    if (resumed === undefined || !exists(resumed)) return
    if (resumed !== id) copyFileSync(fileOf(resumed), fileOf(id))
    const lines = readFileSync(fileOf(resumed), "utf8").split("\n")
    for (const { uuid, prompts = 0, spent } of lines.flatMap((line) => attempt(() => [JSON.parse(line)], () => []))) {
      memory.prompts += prompts
      if (uuid) memory.uuids.add(uuid)
      if (spent) memory.spent.push(spent)
    }
  }
  knows(uuid) {
    return memory.uuids.has(uuid)
  }
  remember(lines) {
    for (const { uuid } of lines) keep(this.id, { prompts: 1, uuid })
    memory.prompts += lines.length
  }
  clear() {
    this.id = randomUUID()
    memory.prompts = 0
    keep(this.id, { prompts: 0 })
    if (this.modern) this.ledger = []
    this.billed = this.ledger.length
  }
  tokensOf(lines) {
    return 20 + Math.ceil(promptOf(lines).length / 4)
  }
  spend(lines, said) {
    const rate = (this.model.includes("haiku") ? 0.1 : this.model.includes("sonnet") ? 2 : 4) / 1e6
    const [input, output] = [this.tokensOf(lines), Math.ceil(said.length / 4) || 1]
    const entry = { model: this.model, input, output, cost: (input + 5 * output) * rate }
    this.ledger.push(entry)
    keep(this.id, { spent: entry })
    return output
  }
  bill() {
    const recent = this.ledger.slice(this.billed)
    this.billed = this.ledger.length
    return {
      duration_api_ms: this.billed,
      duration_ms: Date.now() - state.began,
      ttft_ms: 1,
      total_cost_usd: total(this.ledger, "cost"),
      usage: {
        input_tokens: total(recent, "input"),
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 0,
        output_tokens: total(recent, "output")
      },
      modelUsage: usageByModel(this.ledger),
      ...this.modern && { queued_turn_count: 0, model_usage_since_last_result: usageByModel(recent) }
    }
  }
}

export let dialogue, session
/** When the script and the command line are read. */
export const open = () => {
  session = new ProcessSession({
    env: process.env,
    flag: (name) => flags.get(name),
    id: randomUUID(),
    model: (name = "default") => Object.hasOwn(MODELS, name) ? MODELS[name] : name,
    pid: process.pid,
    version: script.version
  })
  if (script.lifecycle === false) session.tellsLife = false
  dialogue = new Dialogue(session, emit)
}
