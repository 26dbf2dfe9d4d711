import type { Invocation } from "@ccflow/core/CliProcess"
import type { Version } from "../FakeCli.js"
import { readArgs } from "./protocol/flags.mjs"
import { Session } from "./protocol/session.mjs"
import { uuidsOf } from "./protocol/turn.mjs"
import type { Fields, Kept, Line } from "./protocol/types.js"

/** What the CLI keeps of a conversation on disk, by session id. */
export type FakeDisk = Map<string, Conversation>

interface Conversation {
  readonly cost: number
  readonly models: Readonly<Record<string, ModelUsage>>
  readonly uuids: ReadonlySet<string>
}

interface ModelUsage {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUSD: number
}

const turnCost = 0.001
const nothing: Conversation = { cost: 0, models: {}, uuids: new Set() }

/** The session of a fake process: ids that are the same in every run of a test, and its cumulative figures. */
export class FakeSession extends Session implements Kept {
  readonly account = { subscriptionType: "Claude Max", apiProvider: "firstParty" }
  readonly contextWindow = 200_000
  readonly models = [
    { value: "default", resolvedModel: "claude-fake", displayName: "Default", description: "The usual model" },
    { value: "haiku", resolvedModel: "claude-fake-haiku", displayName: "Haiku", description: "The quick one" }
  ]
  readonly surroundings = { cwd: "/home/user/project", tools: ["Bash", "Read"], slash_commands: ["clear"] }
  private readonly disk: FakeDisk
  private ids = 0

  constructor(pid: number, { args, env }: Invocation, version: Version, disk: FakeDisk) {
    const flags = new Map(readArgs(args).flags.map(({ name, values }) => [name, values[0] ?? true]))
    super({
      env,
      flag: (name) => flags.get(name),
      id: uuid("8000", pid),
      model: (name = "claude-fake") => name,
      pid,
      version
    })
    this.disk = disk
    const before = disk.get(this.resumed ?? "") ?? nothing
    this.save(this.modern ? before : { ...before, cost: 0, models: {} })
  }

  newId(): string {
    return uuid("9000", this.pid, ++this.ids)
  }

  mark(): Fields {
    return this.named ? { session_id: this.id, uuid: this.newId() } : { session_id: this.id }
  }

  knows(prompt: string): boolean {
    return this.kept.uuids.has(prompt)
  }

  remember(lines: ReadonlyArray<Line>): void {
    this.save({ ...this.kept, uuids: new Set([...this.kept.uuids, ...uuidsOf(lines)]) })
  }

  clear(): void {
    const before = this.modern ? nothing : this.kept
    this.id = this.newId()
    this.save({ ...before, uuids: nothing.uuids })
  }

  tokensOf(): number {
    return 10
  }

  spend(): number {
    return 5
  }

  /** The figures are cumulative. The newer CLI adds the difference, unless the script has its own. */
  bill(said: Fields, billed: boolean): Fields {
    const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 0, cache_creation_input_tokens: 0 }
    if (!billed) return { usage, total_cost_usd: this.kept.cost, modelUsage: this.kept.models }
    const { cost, models } = this.kept
    const total = said["total_cost_usd"]
    const turn = { inputTokens: 10, outputTokens: 5, costUSD: typeof total === "number" ? total - cost : turnCost }
    const before = models[this.model] ?? { inputTokens: 0, outputTokens: 0, costUSD: 0 }
    const after = {
      inputTokens: before.inputTokens + turn.inputTokens,
      outputTokens: before.outputTokens + turn.outputTokens,
      costUSD: before.costUSD + turn.costUSD
    }
    this.save({
      ...this.kept,
      cost: typeof total === "number" ? total : cost + turnCost,
      models: { ...models, [this.model]: after }
    })
    return {
      ...this.bill({}, false),
      ...this.modern && !("modelUsage" in said) && { model_usage_since_last_result: { [this.model]: turn } }
    }
  }

  private get kept(): Conversation {
    return this.disk.get(this.id) ?? nothing
  }

  private save(kept: Conversation): void {
    this.disk.set(this.id, kept)
  }
}

const uuid = (group: string, pid: number, n?: number): string =>
  n === undefined
    ? `00000000-0000-4000-${group}-${String(pid).padStart(12, "0")}`
    : `${String(pid).padStart(8, "0")}-0000-4000-${group}-${String(n).padStart(12, "0")}`
