import type { Message, Result, Status, Task } from "../Message.js"

/** Where a batch goes. `ended` is set when it ends the turn: what comes after its result is not the turn's. */
export interface Attributed {
  readonly turn: ReadonlyArray<Message>
  /** Of no turn of the user: what background work says, and the turns that the CLI starts itself. */
  readonly background: ReadonlyArray<Message>
  readonly ended: boolean
  /** The CLI will not run the turn's message: it has had it before. */
  readonly known: boolean
}

/** The user's turn that is under way. */
interface Own {
  readonly first: string
  /** The user's messages that no result has answered yet. */
  readonly open: Set<string>
  /** Those that the CLI has taken up into the turn that it is in. */
  readonly taken: Set<string>
  readonly all: Set<string>
  readonly tools: Set<string>
  readonly tasks: Set<string>
  /** The CLI has said that it has the message, where it says such things. */
  announced: boolean
  begun: boolean
  /** A result has answered some of its messages, and the CLI goes on to the others. */
  goesOn: boolean
}

/**
 * Which messages of a process are the user's turn's.
 *
 * The main thread says one turn after the other, each from an `Init` to a `Result`. CLI 2.1.330 names the messages that
 * both answer. 2.1.197 does not, but it repeats a message when it takes it up (`--replay-user-messages`), and marks the
 * results of its own turns: where the next turn may be one of those, it is held until one of the two has told. Versions
 * between (2.1.263) tell the life of a message, and name it in the result alone.
 */
export class Attribution {
  private own: Own | undefined
  /** The messages of the turn before, of which the CLI may still say that it is done with them. */
  private former: ReadonlySet<string> = new Set()
  /** Whose turn the main thread is in. */
  private segment: "own" | "other" | undefined
  /** The CLI tells the life of a message. */
  private lived = false
  /** It also names the messages that a turn answers where the turn begins. */
  private named = false
  /** A background task has ended, for which the CLI starts a turn sooner or later. */
  private notified = false
  private held: Array<Message> | undefined
  /** It goes where the result behind it goes. */
  private stop: Message | undefined
  private known = false
  private turn: Array<Message> = []
  private background: Array<Message> = []

  /** A message of the user is about to be written, and with it a turn begins. */
  begin(uuid: string): void {
    this.own = {
      first: uuid,
      open: new Set([uuid]),
      taken: new Set(),
      all: new Set([uuid]),
      tools: new Set(),
      tasks: new Set(),
      announced: false,
      begun: false,
      goesOn: false
    }
  }

  /** One more message for the turn. False when there is none. */
  steer(uuid: string): boolean {
    this.own?.open.add(uuid)
    this.own?.all.add(uuid)
    return this.own !== undefined
  }

  /** The CLI will not take the message up any more. */
  withdraw(uuid: string): void {
    this.own?.open.delete(uuid)
  }

  /** Messages of the turn that the CLI has not taken up yet. */
  get waiting(): ReadonlyArray<string> {
    const { own } = this
    return own === undefined || !own.begun ? [] : [...own.open].filter((uuid) => !own.taken.has(uuid))
  }

  take(batch: ReadonlyArray<Message>): Attributed {
    let ended = false
    for (const message of batch) if (this.one(message)) ended = true
    const { background, known, turn } = this
    this.turn = []
    this.background = []
    this.known = false
    return { turn, background, ended, known }
  }

  /** The process is gone: what was held is the turn's, as far as can be known. */
  end(): Attributed {
    this.settle("own")
    return { ...this.take([]), ended: false }
  }

  private one(message: Message): boolean {
    switch (message._tag) {
      case "Init":
        this.init(message.userMessageUuids)
        break
      case "Stop":
        this.stop = message
        return false
      case "Result":
        return this.result(message)
      case "Status":
        if (message.kind === "command_lifecycle" && this.lifecycle(message)) return false
        break
      case "User":
        if (message.replay && this.own?.all.has(message.uuid ?? "") === true) {
          this.takenUp(message.uuid ?? "")
          return false
        }
        break
      case "ToolUse":
        if (this.held === undefined && this.segment !== "other" && this.ofTurn(message)) this.own?.tools.add(message.id)
        break
      case "Task":
        this.task(message)
        return false
    }
    this.put(message)
    return false
  }

  private init(uuids: ReadonlyArray<string> | undefined): void {
    const { own } = this
    if (uuids !== undefined) this.lived = this.named = true
    if (own !== undefined && uuids?.some((uuid) => own.all.has(uuid)) === true) this.beginOwn(own)
    else if (own === undefined || this.named) this.segment = "other"
    else if (!this.isNext(own) || (own.begun && !own.goesOn)) {
      this.segment = undefined
      this.held = []
    } else this.beginOwn(own)
  }

  /** Whether a turn that begins without a name can be no other than this one. */
  private isNext({ open, taken }: Own): boolean {
    return this.lived ? [...open].some((uuid) => taken.has(uuid)) : !this.notified
  }

  private beginOwn(own: Own): void {
    own.announced = true
    own.begun = true
    own.goesOn = false
    this.segment = "own"
  }

  private takenUp(uuid: string): void {
    const { own } = this
    if (own === undefined) return
    own.taken.add(uuid)
    this.settle("own")
    this.beginOwn(own)
  }

  private lifecycle({ raw }: Status): boolean {
    const { command_uuid: uuid, state } = raw as Readonly<Record<string, unknown>>
    this.lived = true
    if (typeof uuid !== "string") return false
    if (this.own?.all.has(uuid) !== true) return this.former.has(uuid)
    if (state === "completed" && !this.own.announced) {
      this.known = true
      this.own = undefined
      return true
    }
    this.own.announced = true
    if (state === "started") this.own.taken.add(uuid)
    if (state === "cancelled" && this.own.begun) this.own.open.delete(uuid)
    return true
  }

  private result(message: Result): boolean {
    const { own } = this
    const { origin, userMessageUuids: uuids } = message
    const mine = own !== undefined &&
      (uuids === undefined ? origin === undefined : uuids.some((uuid) => own.all.has(uuid)))
    this.settle(mine ? "own" : "other")
    this.segment = undefined
    if (origin !== undefined) this.notified = false
    const to = mine ? this.turn : this.background
    if (this.stop !== undefined) to.push(this.stop)
    this.stop = undefined
    to.push(message)
    if (!mine) return false
    const before = own.open.size
    for (const uuid of [...uuids ?? [], ...own.taken, own.first]) own.open.delete(uuid)
    // What the CLI runs by itself, a slash command, it does not repeat.
    if (own.open.size === before) own.open.delete([...own.open][0] ?? "")
    if (own.open.size > 0) {
      own.goesOn = true
      return false
    }
    this.former = own.all
    this.own = undefined
    return true
  }

  private task(message: Task): void {
    const { own } = this
    const mine = own !== undefined &&
      (own.tasks.has(message.taskId) || own.tools.has(message.toolUseId ?? "") ||
        (message.phase === "background" && this.segment === "own"))
    if (mine && message.taskId !== "") own.tasks.add(message.taskId)
    if (message.phase === "notification") this.notified = true
    if (mine) this.turn.push(message)
    else this.background.push(message)
  }

  private ofTurn({ parentToolUseId }: Message): boolean {
    return this.own !== undefined && (parentToolUseId === undefined || this.own.tools.has(parentToolUseId))
  }

  private put(message: Message): void {
    const subagents = message.parentToolUseId !== undefined
    if (this.held !== undefined && !subagents) this.held.push(message)
    else if (this.ofTurn(message) && (subagents || this.isNow)) this.turn.push(message)
    else this.background.push(message)
  }

  /** What the main thread says now is the turn's, or what comes before its `Init`. */
  private get isNow(): boolean {
    return this.segment === "own" || (this.segment === undefined && (!this.lived || this.own?.announced === true))
  }

  /** It is known whose the held messages are. */
  private settle(whose: "own" | "other"): void {
    const { held = [] } = this
    const to = whose === "own" ? this.turn : this.background
    this.held = undefined
    for (const message of held) {
      if (whose === "own" && message._tag === "ToolUse") this.own?.tools.add(message.id)
      to.push(message)
    }
  }
}
