/** Where a text stops being JSON, for who has to correct it. */
export interface JsonFault {
  /** From 1. */
  readonly line: number
  /** From 1, in characters. */
  readonly column: number
  readonly detail: string
}

/** The first fault of a text that is not JSON; `undefined` where it is. Node's own errors do not always say where. */
export const jsonFault = (text: string): JsonFault | undefined => {
  try {
    JSON.parse(text)
    return undefined
  } catch {
    const { at, detail } = faultIn(text)
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
const faultIn = (text: string): Place => {
  const open: Array<"{" | "["> = []
  let at = 0
  let expecting: "value" | "first value" | "key" | "first key" | "more" = "value"
  const place = (detail: string): Place => ({ at, detail })

  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }

  const faultInText = (): Place | undefined => {
    const began = at++
    for (;;) {
      skip(plain)
      const next = text[at]
      if (next === undefined || next === "\n") return { at: began, detail: "a text is not closed" }
      if (next === "\"") {
        at++
        return undefined
      }
      if (next !== "\\") return place("a text holds a control character")
      if (!skip(escape)) return place("there is no such escape")
    }
  }

  for (;;) {
    skip(spaces)
    const next = text[at]
    const within = open.at(-1)
    if (next === undefined) {
      if (text.trim() === "") return place("it is empty")
      return place(within === undefined ? "it ends too early" : `it ends before a ${within} is closed`)
    }
    if (within !== undefined && next === closers[within] && (expecting === "more" || expecting.startsWith("first"))) {
      open.pop()
      at++
      expecting = "more"
    } else if (expecting === "more") {
      if (within === undefined) return place("there is more behind the end")
      if (next !== ",") return place(`a comma or ${closers[within]} is missing`)
      at++
      expecting = within === "{" ? "key" : "value"
    } else if (expecting === "key" || expecting === "first key") {
      if (next === "}") return place("there is a comma too many before }")
      if (next !== "\"") return place("a name in double quotes is missing")
      const wrong = faultInText()
      if (wrong !== undefined) return wrong
      skip(spaces)
      if (text[at] !== ":") return place("a colon is missing behind the name")
      at++
      expecting = "value"
    } else if (next === "{" || next === "[") {
      open.push(next)
      at++
      expecting = next === "{" ? "first key" : "first value"
    } else if (next === "\"") {
      const wrong = faultInText()
      if (wrong !== undefined) return wrong
      expecting = "more"
    } else if (skip(word)) {
      expecting = "more"
    } else if (next === "]" && text.slice(0, at).trimEnd().endsWith(",")) {
      return place("there is a comma too many before ]")
    } else {
      return place(next === "/" ? "comments are not allowed" : "this is no value")
    }
  }
}

const spaces = /[ \t\n\r]*/y
const word = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y
const plain = /[^"\\\u0000-\u001F]*/y
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const closers = { "{": "}", "[": "]" } as const
