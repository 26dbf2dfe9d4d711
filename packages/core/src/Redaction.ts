/**
 * Text without secrets: what log lines go through, and recordings. It needs nothing else of this library, so that a small
 * program can use it alone.
 */

/**
 * Text without what looks like a secret, and without the values that are given. It errs on the side of taking away too
 * much; a number is never a secret. What it has been over once it leaves as it is.
 */
export const redactor = (values: ReadonlyArray<string> = []): (text: string) => string => {
  const known = [...new Set(values.filter((value) => value.length >= shortest).flatMap(forms))]
    // A value that holds another goes first, or its rest would stay.
    .sort((one, other) => other.length - one.length)
  return (text) => {
    let safe = text
    for (const value of known) safe = safe.replaceAll(value, hidden)
    for (const pattern of kinds) safe = safe.replace(pattern, hidden)
    return safe
      .replace(schemes, (_, scheme: string) => `${scheme} ${hidden}`)
      .replace(headers, (_, name: string, open: string) => `${name}${open}${hidden}`)
      .replace(
        named,
        (whole: string, name: string, open: string, value: string) =>
          harmless.test(value) || value.startsWith(hidden) ? whole : `${name}${open}${hidden}`
      )
  }
}

/** Whether a variable of that name is one whose value nobody is shown. */
export const isSecretName = (name: string): boolean => /key|token|secret|passw|credential|authorization/i.test(name)

// ---------------------------------------------------------------------------

const hidden = "<redacted>"

/** A shorter value is in too many words. */
const shortest = 6

/** As it is, as it is within JSON, and as it is in an address. */
const forms = (value: string): ReadonlyArray<string> => {
  const quoted = JSON.stringify(value).slice(1, -1)
  return [value, quoted, JSON.stringify(quoted).slice(1, -1), encoded(value)]
}

const encoded = (value: string): string => {
  try {
    return encodeURIComponent(value)
  } catch {
    // Half of a surrogate pair: no address holds it.
    return value
  }
}

/** Anthropic's, GitHub's, Slack's, Google's and Amazon's keys, and signed tokens. */
const kinds: ReadonlyArray<RegExp> = [
  /\bsk-[\w-]{8,}/g,
  /\bgh[a-z]_\w{16,}|\bgithub_pat_\w{16,}/g,
  /\bxox[a-z]-[\w-]{8,}/g,
  /\bAIza[\w-]{20,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{12,}/g,
  /\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]+)?/g
]

const schemes = /\b(bearer|basic)\s+(?!<redacted>)[\w.~+/=-]{4,}/gi

/** Headers whose value may have spaces: to the end of the line, or of the text that it is in. */
const headers = /((?:proxy-)?authorization|(?:set-)?cookie)(\\*["']?\s*[:=]\s*\\*["']?)(?!\s*<redacted>)[^"'\\\r\n]+/gi

/** A name and its value, as in an environment, a header, JSON or JSON within a string. */
const named = new RegExp(
  String
    .raw`([\w.-]{0,64}(?:[_-](?:key|KEY|Key)|apikey|APIKEY|[a-z]Key|(?:token|TOKEN|Token)(?![sS])|secret|SECRET|Secret|[pP]assw|PASSW|` +
    String.raw`credential|CREDENTIAL|Credential)[\w.-]{0,64})` +
    String.raw`(\\*["']?\s*[:=]\s*\\*["']?)([^\s"'\\,;&}\])]+)`,
  "g"
)

const harmless = /^(?:-?\d{1,12}(?:\.\d+)?|true|false|null|undefined|none)$/
