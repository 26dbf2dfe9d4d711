// What a CLI hears, and the turn that it makes of it. Plain JavaScript, as all of this folder: the in-memory fake and the
// process are made of it, and a process that starts by the hundred has no time to be compiled.
/** @import { Frame } from "../../FakeCli.js" */
/** @import { Cut, Fields, Line, Tool } from "./types.js" */

/** A turn that is played: whom it answers, and what of it is still open. */
export class Turn {
  /** Waited when a tool had ended, and were taken into the turn. @type {Array<Line>} */
  folded = []
  /** Tools that run, by id. @type {Map<string, Tool>} */
  tools = new Map()
  /** Tools that were answered instead of the script. @type {Set<string>} */
  refused = new Set()
  /** How many tools have ended. */
  used = 0
  /** @type {Array<Fields>} */
  denials = []
  /** The model has not said anything yet: its first frame names the lines that it answers. */
  first = true
  /** It has a result. */
  answered = false
  /** The end of its prompts is told: what comes now is nobody's. */
  closed = false
  /** @type {Cut | undefined} */
  cut
  /** Its result is that nothing came of the prompts. The CLI does not count a limit of turns as that. */
  failed = false

  /**
   * @param {ReadonlyArray<Line>} lines None in a turn that the CLI starts itself.
   * @param {Fields} [origin] Of such a turn.
   */
  constructor(lines, origin) {
    this.lines = lines
    this.origin = origin
    /** To be repeated when the model begins to answer. */
    this.echoes = lines
  }

  /** Its prompts are told as cancelled. */
  get lost() {
    return this.failed || this.cut !== undefined
  }

  /** @param {Cut} how */
  stop(how) {
    this.cut = how
  }
}

/** @param {unknown} value @returns {value is Fields} */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value)

/** What is known of a value from outside. @returns {Fields} */
export const fieldsOf = (/** @type {unknown} */ value) => isObject(value) ? value : {}

/** The blocks of a message. @returns {ReadonlyArray<Fields>} */
export const blocksOf = (/** @type {Frame} */ frame) => {
  const { content } = fieldsOf(frame["message"])
  return Array.isArray(content) ? content.map(fieldsOf) : []
}

/** The tools whose results the frame holds. */
export const toolResults = (/** @type {Frame} */ frame) =>
  blocksOf(frame).flatMap((block) =>
    frame.type === "user" && block["type"] === "tool_result" ? [String(block["tool_use_id"])] : []
  )

/** The text of a prompt. @returns {string} */
export const textOf = (/** @type {unknown} */ content) => {
  if (typeof content === "string") return content
  return Array.isArray(content) ? content.map((block) => fieldsOf(block)["text"] ?? "").join("\n") : ""
}

/** Prompts that became one turn are one text, with empty lines between. */
export const promptOf = (/** @type {ReadonlyArray<Line>} */ lines) =>
  lines.map(({ content }) => textOf(content)).join("\n\n")

export const isClear = (/** @type {Line} */ { content }) => textOf(content).trim() === "/clear"

export const uuidsOf = (/** @type {ReadonlyArray<Line>} */ lines) => lines.flatMap(({ uuid }) => uuid ?? [])
