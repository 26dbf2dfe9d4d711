import { FastCheck as fc } from "effect"
import * as f from "./frames.js"

/** What the program does between two lines of the CLI. */
export type Call = { readonly _tag: "begin" | "steer" | "withdraw"; readonly uuid: string; readonly turn: string }

/** Something that happened: a line that the CLI printed, and whose it is; or what the program did. */
export type Happened = Call | {
  readonly _tag: "line"
  readonly frame: f.Frame
  /** A turn's name, `background`, or `nobody` for what is the protocol's own. */
  readonly owner: string
  /** The turn that runs when the line comes. */
  readonly during: string | undefined
}

export type Version = "2.1.330" | "2.1.197"

interface Drawn {
  /** What the model does, in order. */
  readonly does: ReadonlyArray<"says" | "tool" | "agent" | "bash">
  /** A message that comes while the first tool runs. */
  readonly folds: boolean
  /** Messages that come while text streams, and what is done with them. */
  readonly queued: ReadonlyArray<"runs" | "withdrawn">
  readonly ends: "well" | "interrupted" | "refused"
  /** What the CLI does of itself before the prompt is answered. */
  readonly before: ReadonlyArray<Aside>
  /** The prompt is written before so many of these. */
  readonly early: number
  /** What it does of itself before the queued messages are answered. */
  readonly between: ReadonlyArray<Aside>
  readonly clears: boolean
}
type Aside = "ended" | "agentSpeaks" | "notice"

const aside = fc.constantFrom<Aside>("ended", "agentSpeaks", "notice")

const drawn: fc.Arbitrary<Drawn> = fc.record({
  does: fc.array(fc.constantFrom("says", "tool", "agent", "bash"), { maxLength: 4 }),
  folds: fc.boolean(),
  queued: fc.array(fc.constantFrom("runs", "withdrawn"), { maxLength: 2 }),
  ends: fc.constantFrom("well", "well", "interrupted", "refused"),
  before: fc.array(aside, { maxLength: 3 }),
  early: fc.nat(3),
  between: fc.array(aside, { maxLength: 2 }),
  clears: fc.nat(5).map((n) => n === 0)
})

/** A conversation of several turns, as a version of the CLI tells it. */
export const conversation: fc.Arbitrary<{ readonly version: Version; readonly happened: ReadonlyArray<Happened> }> = fc
  .record({ version: fc.constantFrom<Version>("2.1.330", "2.1.197"), turns: fc.array(drawn, { maxLength: 5 }) })
  .map(({ turns, version }) => ({ version, happened: new Telling(version).tell(turns) }))

/** Plays the part of the CLI as it was observed. */
class Telling {
  private readonly happened: Array<Happened> = []
  private readonly modern: boolean
  private turn: string | undefined
  private owner = "background"
  private ids = 0
  private named = false
  /** Subagents that speak on after their turn, and commands that will end. */
  private readonly agents: Array<{ readonly tool: string; readonly turn: string }> = []
  private readonly tasks: Array<{ readonly id: string; readonly tool: string; readonly turn: string }> = []

  constructor(version: Version) {
    this.modern = version === "2.1.330"
  }

  tell(turns: ReadonlyArray<Drawn>): ReadonlyArray<Happened> {
    turns.forEach((turn, index) => this.ask(`turn${index}`, turn))
    return this.happened
  }

  private ask(name: string, drawn: Drawn): void {
    const uuid = `${name}-prompt`
    const early = Math.min(drawn.early, drawn.before.length)
    drawn.before.slice(0, early).forEach((one) => this.byItself(one))
    this.turn = name
    this.happened.push({ _tag: "begin", uuid, turn: name })
    drawn.before.slice(early).forEach((one) => this.byItself(one))
    this.lifecycle("queued", [uuid])
    if (drawn.clears) this.clear(name, uuid)
    else this.answer(name, uuid, drawn)
    this.turn = undefined
    this.lifecycle(drawn.ends === "interrupted" ? "cancelled" : "completed", [uuid])
  }

  private answer(name: string, uuid: string, drawn: Drawn): void {
    this.segment(name, [uuid])
    let folded: ReadonlyArray<string> = []
    for (const what of drawn.ends === "refused" ? [] : drawn.does) {
      const fold = what === "tool" && drawn.folds && folded.length === 0 ? [`${name}-folded`] : []
      this.work(what, name, fold)
      folded = [...folded, ...fold]
    }
    const queued = drawn.queued.map((_, index) => `${name}-queued${index}`)
    const runs = queued.filter((_, index) => drawn.queued[index] === "runs")
    for (const steered of queued) {
      this.happened.push({ _tag: "steer", uuid: steered, turn: name })
      this.lifecycle("queued", [steered])
    }
    for (const steered of queued.filter((one) => !runs.includes(one))) {
      this.lifecycle("cancelled", [steered])
      this.happened.push({ _tag: "withdraw", uuid: steered, turn: name })
    }
    this.result([uuid, ...folded], drawn.ends)
    if (runs.length === 0) return
    this.lifecycle("completed", [uuid])
    drawn.between.forEach((one) => this.byItself(one, name))
    this.segment(name, runs)
    this.print(f.assistant(this.id("msg"), [f.says(`to ${runs.join()}`)]))
    this.result(runs, "well")
    this.turn = undefined
    this.lifecycle("completed", runs)
  }

  /** The CLI takes the messages up. */
  private segment(name: string, uuids: ReadonlyArray<string>): void {
    this.lifecycle("started", uuids)
    this.owner = name
    this.print({ ...f.init, ...this.naming(uuids) })
    for (const uuid of uuids) this.echo(uuid)
  }

  private clear(name: string, uuid: string): void {
    this.lifecycle("started", [uuid])
    this.owner = name
    this.print({ type: "conversation_reset", session_id: f.session })
    if (this.modern) this.print(f.system("background_tasks_changed", { tasks: [] }), "background")
    this.print({ ...f.init, ...this.naming([uuid]) })
    this.result([uuid], "well")
  }

  private work(what: Drawn["does"][number], turn: string, folded: ReadonlyArray<string>): void {
    if (what === "says") return this.print(f.assistant(this.id("msg"), [f.says("said")]))
    const tool = this.id("tool")
    this.print(f.assistant(this.id("msg"), [f.uses(tool, what)]))
    for (const uuid of folded) {
      this.happened.push({ _tag: "steer", uuid, turn })
      this.lifecycle("queued", [uuid])
    }
    if (what === "agent") {
      this.print(f.system("task_started", { task_id: `of-${tool}`, tool_use_id: tool, task_type: "local_agent" }))
      this.print(f.assistant(this.id("msg"), [f.says("inner")], { parent_tool_use_id: tool }))
      this.agents.push({ tool, turn })
    }
    if (what === "bash") {
      const id = this.id("task")
      this.tasks.push({ id, tool, turn })
      this.print(f.system("task_started", { task_id: id, tool_use_id: tool, is_backgrounded: true }))
      if (this.modern) this.print(f.system("background_tasks_changed", { tasks: [{ task_id: id }] }))
    }
    this.print(f.gives(tool, "given"))
    for (const uuid of folded) this.echo(uuid)
    this.lifecycle("started", folded)
    if (folded.length > 0) this.print(f.assistant(this.id("msg"), [f.says("and so")]))
    this.lifecycle("completed", folded)
  }

  private result(uuids: ReadonlyArray<string>, ends: Drawn["ends"]): void {
    if (ends === "interrupted") this.print(f.user([f.says("[Request interrupted by user]")]))
    this.print(f.result("done", {
      ...this.naming(uuids),
      ...ends === "interrupted" && { subtype: "error_during_execution", terminal_reason: "aborted_streaming" },
      ...ends === "refused" && { is_error: true, terminal_reason: "api_error" }
    }))
    this.owner = "background"
  }

  private byItself(what: Aside, goingOn = "background"): void {
    const agent = this.agents.at(-1)
    if (what === "agentSpeaks" && agent !== undefined) {
      const owner = agent.turn === this.turn ? agent.turn : "background"
      this.print(f.assistant(this.id("msg"), [f.says("still")], { parent_tool_use_id: agent.tool }), owner)
    }
    // Where the CLI has named no message yet, nobody can tell for whom a notice is that comes before the turn.
    if (what === "notice" && this.named) this.print(f.system("status", { status: "requesting" }), goingOn)
    if (what === "ended") this.notify()
  }

  /** A command has ended, and the CLI tells its model. */
  private notify(): void {
    const task = this.tasks.shift() ?? { id: this.id("task"), tool: this.id("unknown"), turn: "none" }
    const owner = task.turn === this.turn ? task.turn : "background"
    this.print(f.system("task_updated", { task_id: task.id, patch: { status: "completed" } }), owner)
    this.print(f.system("task_notification", { task_id: task.id, tool_use_id: task.tool, status: "completed" }), owner)
    if (this.modern) this.print(f.system("background_tasks_changed", { tasks: [] }), "background")
    this.print(f.init)
    this.print(f.assistant(this.id("msg"), [f.uses(this.id("tool"), "Read")]))
    this.print(f.gives(`tool${this.ids}`, "read"))
    this.print(f.result("by itself", { origin: { kind: "task-notification" } }))
  }

  private naming(uuids: ReadonlyArray<string>): f.Frame {
    return this.modern ? { user_message_uuids: uuids } : {}
  }

  private lifecycle(state: string, uuids: ReadonlyArray<string>): void {
    if (!this.modern) return
    this.named = true
    for (const command_uuid of uuids) {
      this.print({ type: "command_lifecycle", session_id: f.session, command_uuid, state }, "nobody")
    }
  }

  private echo(uuid: string): void {
    this.print(f.user("the prompt", { uuid, isReplay: true }), "nobody")
  }

  private print(frame: f.Frame, owner = this.owner): void {
    const uuid = owner === "nobody" && frame["isReplay"] === true ? frame["uuid"] : this.id(`${owner}:`)
    this.happened.push({ _tag: "line", frame: { ...frame, uuid }, owner, during: this.turn })
  }

  private id(kind: string): string {
    return `${kind}${++this.ids}`
  }
}
