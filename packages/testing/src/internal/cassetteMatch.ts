import { isObject, type Json, mapTexts, type Said } from "./cassetteFormat.js"
import { id } from "./cassetteNames.js"

/**
 * Which ids of now stand for which of the recording. An id that the recording's CLI chose is the same now; one that the
 * program chooses anew is bound where it first appears.
 */
export class Bindings {
  private readonly now = new Map<string, string>()
  private readonly then = new Map<string, string>()

  /** Whether the one may stand for the other. */
  allows(then: string, now: string): boolean {
    return this.now.has(then) ? this.now.get(then) === now : !this.then.has(now)
  }

  bind(then: string, now: string): void {
    if (!this.allows(then, now)) return
    this.now.set(then, now)
    this.then.set(now, then)
  }

  /** What the program is told. */
  toNow(said: Said): Said {
    const text = (given: string) => given.replace(id, (found) => this.told(found))
    return typeof said === "string" ?
      text(said) :
      mapTexts(said, (given, key) => key === "request_id" ? this.told(given) : text(given))
  }

  /** What the program said, with the names that the recording has for it. */
  toThen(said: Said): Said {
    const text = (given: string) => given.replace(id, (found) => this.then.get(found) ?? found)
    return typeof said === "string" ? text(said) : mapTexts(said, text)
  }

  private told(then: string): string {
    const now = this.now.get(then) ?? then
    this.bind(then, now)
    return now
  }
}

/** Whether the program says what the recording has. What differs in ids alone is bound, all of it or nothing. */
export const fits = (then: Json, now: Json, bindings: Bindings, loose: ReadonlySet<string> = none): boolean => {
  const pairs: Array<readonly [string, string]> = []
  if (!alike(then, now, pairs, loose)) return false
  const tried = new Map(pairs)
  if (!pairs.every(([one, other]) => tried.get(one) === other && bindings.allows(one, other))) return false
  for (const [one, other] of tried) bindings.bind(one, other)
  return true
}

/** What is different, line by line: `-` is the recording, `+` is now. */
export const difference = (then: Json, now: Json): string => {
  const [one, other] = [linesOf(then), linesOf(now)]
  return other.length * one.length > most
    ? [...one.slice(0, 20).map((line) => `- ${line}`), ...other.slice(0, 20).map((line) => `+ ${line}`), "…"].join("\n")
    : diff(one, other).join("\n")
}

// ---------------------------------------------------------------------------

const none: ReadonlySet<string> = new Set()

/** Lines times lines: beyond it a table would take too long. */
const most = 4_000_000

const alike = (then: Json, now: Json, pairs: Array<readonly [string, string]>, loose: ReadonlySet<string>): boolean => {
  if (typeof then === "string" && typeof now === "string") return alikeTexts(then, now, pairs)
  if (Array.isArray(then) && Array.isArray(now)) {
    return then.length === now.length && then.every((each: Json, index) => alike(each, now[index], pairs, loose))
  }
  if (!isObject(then) || !isObject(now)) return then === now
  const keys = new Set([...Object.keys(then), ...Object.keys(now)])
  return [...keys].every((key) => {
    if (loose.has(key)) return true
    const [one, other] = [then[key], now[key]]
    return one !== undefined && other !== undefined && alike(one, other, pairs, none)
  })
}

const alikeTexts = (then: string, now: string, pairs: Array<readonly [string, string]>): boolean => {
  if (then.replace(id, "\0") !== now.replace(id, "\0")) return false
  const others = now.match(id) ?? []
  ;(then.match(id) ?? []).forEach((one, index) => pairs.push([one, others[index] ?? ""]))
  return true
}

const linesOf = (value: Json): ReadonlyArray<string> =>
  (typeof value === "string" ? value : JSON.stringify(value, sorted, 2)).split("\n")

/** The order of keys is no difference. */
const sorted = (_: string, value: unknown): unknown =>
  isObject(value)
    ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1))
    : value

/** By the longest common part, with two lines around each difference. */
const diff = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): ReadonlyArray<string> => {
  const width = other.length + 1
  const common = new Uint32Array((one.length + 1) * width)
  for (let i = one.length - 1; i >= 0; i--) {
    for (let j = other.length - 1; j >= 0; j--) {
      common[i * width + j] = one[i] === other[j]
        ? common[(i + 1) * width + j + 1]! + 1
        : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
    }
  }
  const lines: Array<string> = []
  let i = 0
  let j = 0
  while (i < one.length || j < other.length) {
    if (i < one.length && j < other.length && one[i] === other[j]) {
      lines.push(`  ${one[i]}`)
      i++
      j++
    } else if (
      i < one.length && (j >= other.length || common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) lines.push(`- ${one[i++]}`)
    else lines.push(`+ ${other[j++]}`)
  }
  const near = (at: number) => lines.slice(Math.max(0, at - 2), at + 3).some((line) => !line.startsWith("  "))
  return lines.flatMap((line, at) => near(at) ? [line] : near(at - 1) ? ["  …"] : [])
}
