import type { Invocation } from "@ccflow/core/CliProcess"
import type { Frame, Version } from "../FakeCli.js"

/** What the CLI keeps of a conversation on disk, by session id. @internal */
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

/**
 * Who a fake process is: the session of its flags, its model and mode, and its cumulative figures.
 *
 * @internal
 */
export class FakeSession {
  readonly pid: number
  /** Whether this is the newer of the two versions. */
  readonly modern: boolean
  readonly version: Version
  readonly partial: boolean
  readonly replays: boolean
  readonly tellsState: boolean
  readonly mayBypass: boolean
  id: string
  model: string
  mode: string
  /** Whether any prompt had a uuid; where none has, frames have none either. */
  named = false
  results = 0
  private readonly disk: FakeDisk
  private ids = 0
  private cost = 0
  private models: Readonly<Record<string, ModelUsage>> = {}

  constructor(pid: number, { args, env }: Invocation, version: Version, disk: FakeDisk) {
    const flag = (name: string) => args.findLast((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3)
    const resumed = flag("resume")
    this.pid = pid
    this.version = version
    this.modern = version !== "2.1.197"
    this.disk = disk
    this.partial = args.includes("--include-partial-messages")
    this.replays = args.includes("--replay-user-messages")
    this.tellsState = env["CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"] === "1"
    this.model = flag("model") ?? "claude-fake"
    this.mayBypass = args.some((arg) => arg.endsWith("dangerously-skip-permissions"))
    this.mode = args.includes("--dangerously-skip-permissions")
      ? "bypassPermissions"
      : flag("permission-mode") ?? "default"
    const kept = args.includes("--fork-session") ? undefined : resumed
    this.id = flag("session-id") ?? kept ?? uuid("8000", pid)
    const before = disk.get(resumed ?? "") ?? nothing
    this.disk.set(this.id, before)
    if (this.modern) [this.cost, this.models] = [before.cost, before.models]
  }

  /** An id that is unique and the same in every run of the test. */
  newId(): string {
    return uuid("9000", this.pid, ++this.ids)
  }

  /** On every frame but those of the control protocol. */
  mark(): Readonly<Record<string, unknown>> {
    return this.named ? { session_id: this.id, uuid: this.newId() } : { session_id: this.id }
  }

  /** Whether the conversation has this prompt already. */
  knows(prompt: string): boolean {
    return this.disk.get(this.id)?.uuids.has(prompt) === true
  }

  remember(prompts: ReadonlyArray<string>): void {
    const { uuids } = this.disk.get(this.id) ?? nothing
    this.save(new Set([...uuids, ...prompts]))
  }

  /** A new conversation in the same process. */
  clear(): void {
    this.id = this.newId()
    if (this.modern) [this.cost, this.models] = [0, {}]
    this.save(new Set())
  }

  /** The figures of a result, which are cumulative. The newer CLI adds the difference, unless the script has its own. */
  bill(said: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
    const total = said["total_cost_usd"]
    const own = !("modelUsage" in said)
    const price = typeof total === "number" ? total - this.cost : turnCost
    const before = this.models[this.model] ?? { inputTokens: 0, outputTokens: 0, costUSD: 0 }
    const turn = { inputTokens: 10, outputTokens: 5, costUSD: price }
    this.models = {
      ...this.models,
      [this.model]: {
        inputTokens: before.inputTokens + turn.inputTokens,
        outputTokens: before.outputTokens + turn.outputTokens,
        costUSD: before.costUSD + turn.costUSD
      }
    }
    this.cost = typeof total === "number" ? total : this.cost + price
    this.save(this.disk.get(this.id)?.uuids ?? nothing.uuids)
    return this.modern && own
      ? { ...this.figures(), model_usage_since_last_result: { [this.model]: turn } }
      : this.figures()
  }

  figures(): Readonly<Record<string, unknown>> {
    return { total_cost_usd: this.cost, modelUsage: this.models }
  }

  init(fields: Readonly<Record<string, unknown>>): Frame {
    return {
      type: "system",
      subtype: "init",
      cwd: "/home/user/project",
      tools: ["Bash", "Read"],
      mcp_servers: [],
      model: this.model,
      permissionMode: this.mode,
      slash_commands: ["clear"],
      apiKeySource: "none",
      claude_code_version: this.version,
      output_style: "default",
      ...this.modern && { capabilities: ["interrupt_receipt_v1", "msg_lifecycle_v1"] },
      ...fields
    }
  }

  private save(uuids: ReadonlySet<string>): void {
    this.disk.set(this.id, { cost: this.cost, models: this.models, uuids })
  }
}

const uuid = (group: string, pid: number, n?: number): string =>
  n === undefined
    ? `00000000-0000-4000-${group}-${String(pid).padStart(12, "0")}`
    : `${String(pid).padStart(8, "0")}-0000-4000-${group}-${String(n).padStart(12, "0")}`
