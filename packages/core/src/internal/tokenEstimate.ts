/**
 * Counts runs of one class of characters, as byte-pair tokenizers split text: a word of up to seven letters, three digits
 * and three marks are about one token each, a new line with its indentation one and a half, and a single space belongs to
 * the word behind it.
 */
export const countTokens = (text: string): number => {
  let tokens = 0
  let at = 0
  while (at < text.length) {
    const start = at
    const kind = kindOf(text.charCodeAt(at))
    let lines = false
    while (at < text.length && kindOf(text.charCodeAt(at)) === kind) {
      const code = text.charCodeAt(at++)
      if (code === 0x0A || code === 0x0D) lines = true
      if (kind === "other") tokens += code >= 0x2E80 ? 1 : 0.6
    }
    const length = at - start
    if (kind === "letter") tokens += Math.ceil(length / 7)
    else if (kind === "digit" || kind === "mark") tokens += Math.ceil(length / 3)
    else if (kind === "space") tokens += lines ? 1.5 : length === 1 && text[start] === " " ? 0 : 1
  }
  return Math.ceil(tokens)
}

// ---------------------------------------------------------------------------

type Kind = "letter" | "digit" | "mark" | "space" | "other"

const kindOf = (code: number): Kind => code < 0x80 ? kinds[code]! : "other"

const kinds: ReadonlyArray<Kind> = Array.from({ length: 0x80 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/[a-z]/i.test(character)) return "letter"
  if (/\d/.test(character)) return "digit"
  return /\s/.test(character) ? "space" : "mark"
})
