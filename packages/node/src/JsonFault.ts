/**
 * Where a text stops being JSON, for who has to correct it.
 */
export interface JsonFault {
  /** From 1. */
  readonly line: number
  /** From 1, in characters. */
  readonly column: number
  readonly detail: string
}

/**
 * The first fault of a text that is not JSON; `undefined` where it is. Node's own errors do not always say where.
 */
export const jsonFault = (text: string): JsonFault | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch {
    const { at, detail } = new Reader(text).fault()
    const before = text.slice(0, at).split("\n")
    return { line: before.length, column: [...before[before.length - 1]!].length + 1, detail }
  }
}

// ---------------------------------------------------------------------------

interface Place {
  readonly at: number
  readonly detail: string
}

/** Containers are kept in a list and not on the stack, which a file of brackets would use up. */
class Reader {
  private readonly text: string
  private at = 0
  private readonly open: Array<"{" | "["> = []

  constructor(text: string) {
    this.text = text
  }

  fault(): Place {
    let expecting: "value" | "first value" | "key" | "first key" | "more" = "value"
    for (;;) {
      this.skip(spaces)
      const next = this.text[this.at]
      const within = this.open.at(-1)
      if (next === undefined) {
        return this.text.trim() === ""
          ? this.place("it is empty")
          : this.place(within === undefined ? "it ends too early" : `it ends before a ${within} is closed`)
      }
      if (within !== undefined && next === closers[within] && (expecting === "more" || expecting.startsWith("first"))) {
        this.open.pop()
        this.at++
        expecting = "more"
        continue
      }
      if (expecting === "more") {
        if (within === undefined) return this.place("there is more behind the end")
        if (next !== ",") return this.place(`a comma or ${closers[within]} is missing`)
        this.at++
        expecting = within === "{" ? "key" : "value"
        continue
      }
      if (expecting === "key" || expecting === "first key") {
        if (next === "}") return this.place("there is a comma too many before }")
        if (next !== "\"") return this.place("a name in double quotes is missing")
        const wrong = this.string()
        if (wrong !== undefined) return wrong
        this.skip(spaces)
        if (this.text[this.at] !== ":") return this.place("a colon is missing behind the name")
        this.at++
        expecting = "value"
        continue
      }
      if (next === "{" || next === "[") {
        this.open.push(next)
        this.at++
        expecting = next === "{" ? "first key" : "first value"
        continue
      }
      if (next === "]" && this.text.slice(0, this.at).trimEnd().endsWith(",")) {
        return this.place("there is a comma too many before ]")
      }
      if (next === "\"") {
        const wrong = this.string()
        if (wrong !== undefined) return wrong
      } else if (!this.skip(word)) {
        return this.place(next === "/" ? "comments are not allowed" : "this is no value")
      }
      expecting = "more"
    }
  }

  private string(): Place | undefined {
    const began = this.at++
    for (;;) {
      this.skip(plain)
      const next = this.text[this.at]
      if (next === "\"") {
        this.at++
        return undefined
      }
      if (next === undefined || next === "\n") return { at: began, detail: "a text is not closed" }
      if (next !== "\\") return this.place("a text holds a control character")
      if (!this.skip(escape)) return this.place("there is no such escape")
    }
  }

  private skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    if (!pattern.test(this.text)) return false
    this.at = pattern.lastIndex
    return true
  }

  private place(detail: string): Place {
    return { at: this.at, detail }
  }
}

const spaces = /[ \t\n\r]*/y
const word = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y
const plain = /[^"\\\u0000-\u001F]*/y
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const closers = { "{": "}", "[": "]" } as const
