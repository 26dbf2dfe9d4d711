import { sessionOf, told } from "./cassetteArgs.js"
import { at, type Ending, type Event, type Json, type Said, saidIn, type Take } from "./cassetteFormat.js"
import { Bindings, difference, fits } from "./cassetteMatch.js"
import { LineSplitter } from "./cassetteRecorder.js"
import type { Scrub } from "./cassetteScrub.js"

/** What comes next, after so many milliseconds. */
export type Step =
  | { readonly _tag: "Print"; readonly wait: number; readonly text: string }
  | { readonly _tag: "End"; readonly wait: number } & Omit<Ending, "closed">

/** What a process is played from. */
export interface Stock {
  /** How it was started now. */
  readonly args: ReadonlyArray<string>
  readonly scrub: Scrub
  /** Whether `initialize` and the tools that are offered must be as they were. */
  readonly strict: boolean
  /** Those that may be played, the likeliest first. */
  readonly candidates: () => ReadonlyArray<Take>
  /** Nobody else plays it then. `false` when somebody does. */
  readonly claim: (take: Take) => boolean
  /** Something was asked that the recording does not have. */
  readonly complain: (mismatch: string) => void
}

/**
 * Plays a recorded process to a program: what was said goes out when all has come in that had come in before it.
 *
 * What the program begins, a prompt or a request, must come in the recorded order and be the same; its answers may come
 * in any. Which process is played is open until the first prompt, since programs ask many things at the same time.
 */
export class Player {
  private readonly stock: Stock
  private readonly input = new LineSplitter()
  private take: Take
  private bindings: Bindings
  private position = 0
  private outs = 0
  private arrived: Set<Event> = new Set()
  /** What the program has begun, in order. */
  private readonly begun: Array<Said> = []
  private readonly refusals: Array<string> = []
  private settled = false
  private ended = false
  private heardEof = false
  private heardSignal = false
  private failure: string | undefined

  constructor(stock: Stock, take: Take) {
    this.stock = stock
    this.take = take
    this.bindings = this.boundBy(take)
    if (beginnings(take).length === 0) this.settled = stock.claim(take)
  }

  heard(chunk: string | Uint8Array): void {
    for (const line of this.input.push(chunk)) this.line(line)
  }

  eof(): void {
    if (this.heardEof) return
    const rest = this.input.end()
    if (rest !== "") this.line(rest)
    this.heardEof = true
    const missing = this.expected()
    if (this.failure !== undefined || missing === undefined) return
    if (!this.settled && this.change(undefined, (take) => beginnings(take).length === this.begun.length)) return
    if (!isRequest(missing.said)) {
      this.fail(`${this.where()} the input ended before ${nameOf(missing.said)}.`, difference(missing.said, ""))
    }
  }

  signal(): void {
    this.heardSignal = true
  }

  /** `undefined` until more comes in. */
  next(): Step | undefined {
    if (this.ended) return undefined
    const refusal = this.refusals.shift()
    if (refusal !== undefined) return { _tag: "Print", wait: 0, text: refusal }
    if (this.failure !== undefined) return this.end(1, null, this.failure)
    for (;;) {
      const event = this.take.events[this.position]
      if (event === undefined) return this.last()
      if (event._tag === "out" || event._tag === "rest") {
        this.position++
        const said = this.bindings.toNow(event.said)
        const text = typeof said === "string" ? said : JSON.stringify(said)
        return { _tag: "Print", wait: this.wait(), text: event._tag === "out" ? `${text}\n` : text }
      }
      const due = event._tag === "in"
        ? this.arrived.has(event) || isUnheard(event.said)
        : event._tag === "eof"
        ? this.heardEof || this.heardSignal
        : this.heardSignal
      if (!due) return this.heardSignal ? this.end(0, null, "") : undefined
      this.position++
    }
  }

  private last(): Step | undefined {
    const { ending } = this.take
    const leaves = this.heardEof || this.heardSignal
    if (ending === undefined) {
      if (leaves) return this.end(0, null, "")
      return isAnswered(this.take) ? undefined : this.end(1, null, this.complaint("the recording was cut here.", ""))
    }
    if (ending.closed && !leaves) return undefined
    if (!this.settled) this.settled = this.stock.claim(this.take)
    return this.end(ending.code, ending.signal, ending.stderr)
  }

  private end(code: number | null, signal: string | null, stderr: string): Step {
    this.ended = true
    return { _tag: "End", wait: this.wait(), code, signal, stderr }
  }

  private wait(): number {
    return this.take.waits[this.outs++] ?? 0
  }

  private line(line: string): void {
    if (this.failure !== undefined || this.ended) return
    const said = this.stock.scrub.said(saidIn(line))
    const type = at(said, "type")
    if (type === "control_response") this.answer(said)
    else if (!isUnheard(said)) this.begin(said)
  }

  /** An answer to the CLI. One that the recorded CLI did not wait for is one too many, which does no harm. */
  private answer(now: Said): void {
    const request = at(now, "response", "request_id")
    const event = this.take.events.find((event) =>
      event._tag === "in" && at(event.said, "type") === "control_response" &&
      at(event.said, "response", "request_id") === request && !this.arrived.has(event)
    )
    if (event?._tag !== "in") return
    const asked = this.take.events.find((event) => event._tag === "out" && at(event.said, "request_id") === request)
    const question = asked?._tag === "out" ? at(asked.said, "request") : undefined
    const method = at(question, "message", "method")
    const offers = method !== undefined && method !== "tools/call" && !this.stock.strict
    if (offers || fits(event.said, now, this.bindings)) this.arrived.add(event)
    else {
      const [then, said] = [event.said, this.bindings.toThen(now)].map((each) => at(each, "response") ?? each)
      this.fail(`${this.where()} another answer to ${questionOf(question)}.`, difference(then ?? "", said ?? ""))
    }
  }

  private begin(now: Said): void {
    const expected = this.expected()
    if (expected !== undefined && this.fitting(expected.said, now, this.bindings)) return this.advance(expected, now)
    if (!this.settled && this.change(now)) return this.advance(undefined, now)
    const subtype = at(now, "request", "subtype")
    if (isRequest(now) && subtype !== at(expected?.said, "request", "subtype")) return this.refuse(now)
    const said = this.bindings.toThen(now)
    const [then, sent] = expected === undefined ? ["nothing more", nameOf(said)] : contrast(expected.said, said)
    this.fail(
      `${this.where()} ${then}, and ${sent} was sent.`,
      difference(wordsOf(expected?.said ?? ""), wordsOf(said))
    )
  }

  private advance(expected: Beginning | undefined, now: Said): void {
    this.begun.push(now)
    if (expected !== undefined) this.arrived.add(expected)
    if (isRequest(now) || this.settled) return
    if (this.stock.claim(this.take)) this.settled = true
    else if (this.change()) this.settled = this.stock.claim(this.take)
    else this.fail(`${this.where()} this only once, and it was asked again.`, "")
  }

  /** A request that the recorded CLI was not asked: the program hears that, and goes on or not. */
  private refuse(now: Said): void {
    const id = at(now, "request_id") ?? ""
    const error = this.complaint(
      `${this.where()} no ${nameOf(now).replace(/^the /, "")} here.`,
      difference("", at(now, "request") ?? "")
    )
    const response = { subtype: "error", request_id: id, error, error_code: "not_in_cassette" }
    this.refusals.push(`${JSON.stringify({ type: "control_response", response })}\n`)
  }

  private fail(what: string, details: string): void {
    this.failure ??= this.complaint(what, details)
  }

  private complaint(what: string, details: string): string {
    // The last line is what errors show.
    const told = `${details === "" ? "" : `${details}\n`}Cassette: process ${this.take.number}: ${what}\n`
    this.stock.complain(told)
    return told
  }

  private where(): string {
    return this.take.ending === undefined && this.expected() === undefined
      ? "the recording was cut here, so that it has"
      : "the recording has"
  }

  private expected(): Beginning | undefined {
    return beginnings(this.take).find((event) => !this.arrived.has(event))
  }

  /**
   * Plays another process from here on, which all that was begun until now, and what comes next, would have begun as well.
   * `false` when there is none.
   */
  private change(next?: Said, fits: (take: Take) => boolean = () => true): boolean {
    const said = next === undefined ? this.begun : [...this.begun, next]
    for (const take of this.stock.candidates().filter(fits)) {
      const events = beginnings(take).slice(0, said.length)
      const bindings = this.boundBy(take)
      if (events.length < said.length) continue
      if (!events.every((event, index) => this.fitting(event.said, said[index]!, bindings))) continue
      this.take = take
      this.bindings = bindings
      this.arrived = new Set(events)
      const last = events.at(-1)
      this.position = last === undefined ? 0 : take.events.indexOf(last)
      this.outs = take.events.slice(0, this.position).filter(({ _tag }) => _tag === "out").length
      return true
    }
    return false
  }

  private fitting(then: Said, now: Said, bindings: Bindings): boolean {
    const own = isRequest(then) ? requestLoose : loose
    const offers = greets(then) && !this.stock.strict
    if (offers ? !greets(now) : !fits(then, now, bindings, own)) return false
    for (const key of own) {
      const [one, other] = [at(then, key), at(now, key)]
      if (typeof one === "string" && typeof other === "string" && one !== "") bindings.bind(one, other)
    }
    return true
  }

  private boundBy(take: Take): Bindings {
    const bindings = new Bindings()
    const [then, now] = [sessionOf(told(take.start.args)), sessionOf(told(this.stock.args))]
    if (then !== undefined && now !== undefined) bindings.bind(then, now)
    return bindings
  }
}

// ---------------------------------------------------------------------------

type Beginning = Event & { readonly _tag: "in" }

/** Called anew each time, whatever is asked. */
const loose = new Set(["uuid", "session_id"])
const requestLoose = new Set(["request_id"])

const isRequest = (said: Said): boolean => at(said, "type") === "control_request"

const greets = (said: Said): boolean => isRequest(said) && at(said, "request", "subtype") === "initialize"

/** What a CLI takes without a word. */
const isUnheard = (said: Said): boolean => ["keep_alive", "control_cancel_request"].includes(String(at(said, "type")))

/** What the program began, of its own accord. */
const beginnings = ({ events }: Take): ReadonlyArray<Beginning> =>
  events.flatMap((event) =>
    event._tag === "in" && at(event.said, "type") !== "control_response" && !isUnheard(event.said) ? [event] : []
  )

/** Whether the recording stops where nobody waits for the CLI. */
const isAnswered = ({ events }: Take): boolean => {
  const last = events.findLastIndex((event) => event._tag === "in")
  const event = events[last]
  if (event?._tag !== "in") return true
  const answer = isRequest(event.said) ? "control_response" : "result"
  return events.slice(last).some((event) => event._tag === "out" && at(event.said, "type") === answer)
}

const nameOf = (said: Said, from = 0): string => {
  if (isRequest(said)) return `the request ${String(at(said, "request", "subtype"))}`
  return `the ${at(said, "type") === "user" ? "prompt" : "input"} ${quoted(textOf(said), from)}`
}

/** Both by name, from where they begin to differ. */
const contrast = (then: Said, now: Said): readonly [string, string] => {
  const [one, other] = [textOf(then), textOf(now)]
  const length = Math.min(one.length, other.length)
  let same = 0
  while (same < length && one[same] === other[same]) same++
  const from = same < 60 ? 0 : same - 20
  return [nameOf(then, from), nameOf(now, from)]
}

const questionOf = (question: Json | undefined): string => {
  const tool = at(question, "tool_name") ?? at(question, "message", "params", "name") ?? at(question, "callback_id")
  return `${String(at(question, "subtype"))}${tool === undefined ? "" : ` ${String(tool)}`}`
}

/** A prompt's words, where it has nothing else. */
const wordsOf = (said: Said): Json => at(said, "message", "content") ?? at(said, "request") ?? said

const textOf = (said: Said): string => {
  const words = wordsOf(said)
  return typeof words === "string" ? words : JSON.stringify(words)
}

const quoted = (text: string, from: number): string =>
  JSON.stringify(`${from === 0 ? "" : "…"}${text.slice(from, from + 80)}${text.length > from + 80 ? "…" : ""}`)
