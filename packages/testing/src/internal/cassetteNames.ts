import { isObject, type Json, mapTexts, type Said } from "./cassetteFormat.js"

/** What is called by a name that is made anew each time: uuids, the ids of the API, folders for temporary files. */
export const id =
  /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b(?:msg|req|toolu|srvtoolu)_(?:0[A-Za-z0-9]{16,}|\d{4}_\d{4})\b|(?<=\/tmp\/(?:[\w.]+[-_])*)(?=\w*[A-Z0-9])[A-Za-z0-9]{6,}\b(?![-.])/g

/**
 * Stable names for the ids of one process: of the same shape, and numbered as they first appear. Processes that go on with
 * each other's sessions share what is `known`, so that one id has one name in the whole cassette.
 */
export class Names {
  private readonly process: number
  private readonly known: Map<string, string>
  private readonly counts = new Map<string, number>()
  private turn = 0
  private side: keyof typeof sides = "out"
  private readonly words = new Map<string, string>()
  private readonly requests = new Map<string, string>()

  constructor(process: number, known: Map<string, string> = new Map()) {
    this.process = process
    this.known = known
  }

  text(text: string): string {
    const named = text.replace(id, (found) => this.nameOf(found, "id"))
    return this.words.size === 0 ? named : named.replace(wordsIn(this.words), (word) => this.words.get(word) ?? word)
  }

  /** The id of a session, from the flags. */
  session(text: string): string {
    return text.replace(id, (found) => this.nameOf(found, "session"))
  }

  /** Each side has its own numbers, and each turn: what comes one line earlier or later changes no other line. */
  said(said: Said, side: keyof typeof sides): Said {
    this.side = side
    if (typeof said === "string") return this.text(said)
    if (side === "in" && said["type"] === "user") this.turn++
    if (typeof said["session_id"] === "string") this.session(said["session_id"])
    this.learn(said)
    return mapTexts(said, (text, key) => {
      const named = this.text(text)
      return key === "request_id" && named === text && text !== "" ? this.nameOf(text, "request") : named
    })
  }

  /** Ids that only their key tells to be one: they stand in texts, too. */
  private learn(value: Json): void {
    if (Array.isArray(value)) { for (const each of value) this.learn(each) }
    if (!isObject(value)) return
    for (const [key, each] of Object.entries(value)) {
      if (typeof each !== "string") this.learn(each)
      else if (/(?:^|_)id$/.test(key) && each.search(id) < 0) {
        const kind = /^(msg|req|toolu|srvtoolu)_\w+$/.exec(each)?.[1] ??
          (/^\w{6,}$/.test(each) ? shortIds[key] : undefined)
        if (kind !== undefined) this.words.set(each, this.nameOf(each, kind))
      }
    }
  }

  private nameOf(found: string, kind: string): string {
    // The program numbers its requests in each process anew.
    const names = kind === "request" ? this.requests : this.known
    const known = names.get(found)
    if (known !== undefined) return known
    const named = this.make(found, kind)
    names.set(found, named)
    return named
  }

  private make(found: string, kind: string): string {
    const prefix = /^([a-z]+)_/.exec(found)?.[1]
    const group = prefix ?? (kind === "id" && found.length !== 36 ? "tmp" : kind)
    const counted = group === "id" ? `${this.side} ${this.turn}` : group
    const count = (this.counts.get(counted) ?? 0) + 1
    this.counts.set(counted, count)
    const [process, number] = [digits(this.process), digits(count)]
    switch (group) {
      case "id":
        return `${sides[this.side]}-0000-4000-8000-${process}${digits(this.turn)}${number}`
      case "session":
        return `${sessions}-0000-4000-8000-${process}0000${number}`
      case "tmp":
        return `T${process}${number}`
      default:
        return `${group}_${process}_${number}`
    }
  }
}

// ---------------------------------------------------------------------------

/** Begins the ids of sessions: as near to their name as a uuid comes. */
const sessions = "5e551017"

const sides = { in: "00000001", out: "00000000" }

const digits = (value: number): string => String(value).padStart(4, "0")

const shortIds: Readonly<Record<string, string>> = {
  task_id: "task",
  run_id: "run",
  agent_id: "agent",
  hook_id: "hook",
  tool_use_id: "toolu"
}

const wordsIn = (words: ReadonlyMap<string, string>): RegExp =>
  new RegExp(`(?<!\\w)(?:${[...words.keys()].join("|")})(?!\\w)`, "g")
