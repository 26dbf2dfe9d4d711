import { text } from "./MessagesReply.js"
import type { Reply } from "./MessagesReply.js"
import type { MessagesRequest } from "./MessagesRequest.js"

type Operator = (left: number, right: number) => number

const operators: Readonly<Record<string, Operator>> = {
  "*": (left, right) => left * right,
  "/": (left, right) => left / right,
  "+": (left, right) => left + right,
  "-": (left, right) => left - right
}

const words: ReadonlyArray<readonly [pattern: RegExp, symbol: string]> = [
  [/\bplus\b/gi, "+"],
  [/\bminus\b|−/gi, "-"],
  [/\btimes\b|\bmultiplied by\b|×/gi, "*"],
  [/\bdivided by\b|÷/gi, "/"]
]

const fold = (tokens: ReadonlyArray<string>, symbols: ReadonlyArray<string>): ReadonlyArray<string> =>
  tokens.reduce<ReadonlyArray<string>>((done, token) => {
    const symbol = done.at(-1) ?? ""
    const apply = symbols.includes(symbol) ? operators[symbol] : undefined
    const left = done.at(-2)
    return apply === undefined || left === undefined
      ? [...done, token]
      : [...done.slice(0, -2), String(apply(Number(left), Number(token)))]
  }, [])

/** The sum that a prompt asks for, when it asks for one. */
const arithmetic = (prompt: string): string | undefined => {
  const undated = prompt.replace(/\d+-\d+-\d+/g, "")
  const symbolic = words.reduce((line, [pattern, symbol]) => line.replace(pattern, symbol), undated)
  const found = /(?<![\w.])-?\d+(?:\.\d+)?(?:\s*[-+*/]\s*\d+(?:\.\d+)?)+(?![\w.]*\w)/.exec(symbolic)?.[0]
  if (found === undefined) return undefined
  const [first = "", ...rest] = found.split(/\s*([-+*/])\s*(?=\d)/).filter((token) => token !== "")
  const tokens = first === "-" ? [`-${rest[0] ?? "0"}`, ...rest.slice(1)] : [first, ...rest]
  const [result = ""] = fold(fold(tokens, ["*", "/"]), ["+", "-"])
  return Number.isFinite(Number(result))
    ? `${found.replace(/\s+/g, "")} is ${Number(Number(result).toFixed(10))}.`
    : undefined
}

const statedName = (turns: ReadonlyArray<string>): string | undefined =>
  turns.map((turn) => /\bmy name is ([\p{L}][\p{L}'-]*)/iu.exec(turn)?.[1]).findLast((name) => name !== undefined)

const quote = (value: string): string => {
  const line = value.replace(/\s+/g, " ")
  return `"${line.length > 120 ? `${line.slice(0, 119)}…` : line}"`
}

const ordinal = (earlier: ReadonlyArray<string>): string =>
  earlier.length === 1 ? "1 earlier message" : `${earlier.length} earlier messages`

const answer = (earlier: ReadonlyArray<string>, prompt: string): string => {
  const sum = arithmetic(prompt)
  if (sum !== undefined) return sum
  if (/\bmy name\b/i.test(prompt) && /\?|\bwhat\b|\btell\b/i.test(prompt)) {
    const name = statedName(earlier)
    return name === undefined ? "You have not told me your name yet." : `Your name is ${name}.`
  }
  const name = statedName([prompt])
  if (name !== undefined) return `Nice to meet you, ${name}. I am a stand-in without a model, yet I will remember that.`
  const memory = earlier.length === 0
    ? ""
    : ` I remember ${ordinal(earlier)}, the last one being ${quote(earlier.at(-1) ?? "")}.`
  return `I am a stand-in without a model. You said: ${quote(prompt)}.${memory}`
}

/** Answers without a model: sums, a name it was told, and otherwise the prompt itself. */
export const echoBrain = (request: MessagesRequest): Reply => {
  const results = request.toolResults.map((result) => result.text)
  return results.length > 0
    ? text(`The tool answered: ${quote(results.join(" "))}.`)
    : text(answer(request.userTexts.slice(0, -1), request.lastUserText))
}
