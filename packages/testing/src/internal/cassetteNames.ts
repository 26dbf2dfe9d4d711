import { isObject, type Json, mapTexts, type Said } from "./cassetteFormat.js"

/** What is called by a name that is made anew each time: uuids, the ids of the API, folders for temporary files. */
export const id =
  /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b(?:msg|req|toolu|srvtoolu)_(?:0[A-Za-z0-9]{16,}|\d{4}_\d{4})\b|(?<=\/tmp\/(?:[\w.]+[-_])*)(?=\w*[A-Z0-9])[A-Za-z0-9]{6,}\b(?![-.])/g

/**
 * Stable names for the ids of one process: of the same shape, and numbered as they first appear. Processes that go on with
 * each other's sessions share what is `known`, so that one id has one name in the whole cassette.
 */
export const namesOf = (process: number, known: Map<string, string> = new Map()) => {
  const counts = new Map<string, number>()
  const words = new Map<string, string>()
  // The program numbers its requests in each process anew.
  const requests = new Map<string, string>()
  let turn = 0
  let side: keyof typeof sides = "out"

  const make = (found: string, kind: string): string => {
    const prefix = /^([a-z]+)_/.exec(found)?.[1]
    const group = prefix ?? (kind === "id" && found.length !== 36 ? "tmp" : kind)
    const counted = group === "id" ? `${side} ${turn}` : group
    const count = (counts.get(counted) ?? 0) + 1
    counts.set(counted, count)
    const [own, number] = [digits(process), digits(count)]
    switch (group) {
      case "id":
        return `${sides[side]}-0000-4000-8000-${own}${digits(turn)}${number}`
      case "session":
        return `${sessions}-0000-4000-8000-${own}0000${number}`
      case "tmp":
        return `T${own}${number}`
      default:
        return `${group}_${own}_${number}`
    }
  }

  const nameOf = (found: string, kind: string): string => {
    const names = kind === "request" ? requests : known
    const named = names.get(found) ?? make(found, kind)
    if (!names.has(found)) names.set(found, named)
    return named
  }

  /** Ids that only their key tells to be one: they stand in texts, too. */
  const learn = (value: Json): void => {
    if (Array.isArray(value)) { for (const each of value) learn(each) }
    if (!isObject(value)) return
    for (const [key, each] of Object.entries(value)) {
      if (typeof each !== "string") learn(each)
      else if (/(?:^|_)id$/.test(key) && each.search(id) < 0) {
        const kind = /^(msg|req|toolu|srvtoolu)_\w+$/.exec(each)?.[1] ??
          (/^\w{6,}$/.test(each) ? shortIds[key] : undefined)
        if (kind !== undefined) words.set(each, nameOf(each, kind))
      }
    }
  }

  const text = (given: string): string => {
    const named = given.replace(id, (found) => nameOf(found, "id"))
    return words.size === 0 ? named : named.replace(wordsIn(words), (word) => words.get(word) ?? word)
  }

  /** The id of a session, from the flags. */
  const session = (given: string): string => given.replace(id, (found) => nameOf(found, "session"))

  /** Each side has its own numbers, and each turn: what comes one line earlier or later changes no other line. */
  const said = (given: Said, from: keyof typeof sides): Said => {
    side = from
    if (typeof given === "string") return text(given)
    if (side === "in" && given["type"] === "user") turn++
    if (typeof given["session_id"] === "string") session(given["session_id"])
    learn(given)
    return mapTexts(given, (each, key) => {
      const named = text(each)
      return key === "request_id" && named === each && each !== "" ? nameOf(each, "request") : named
    })
  }

  return { text, session, said }
}

export type Names = ReturnType<typeof namesOf>

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
