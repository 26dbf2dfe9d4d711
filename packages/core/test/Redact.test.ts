import { isSecretName, redactor } from "@ccflow/core/Redaction"
import { assert, describe, it } from "@effect/vitest"
import { FastCheck } from "effect"

const redact = redactor()
const chars = (set: string, min: number, max = 40) =>
  FastCheck.array(FastCheck.constantFrom(...set), { minLength: min, maxLength: max }).map((all) => all.join(""))
const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/** What a secret looks like by itself. */
const telling = FastCheck.oneof(
  chars(`${alphanumeric}-_`, 12).map((text) => `sk-ant-api03-${text}`),
  chars(alphanumeric, 12).map((text) => `sk-ant-oat01-${text}`),
  chars(alphanumeric, 20).map((text) => `ghp_${text}`),
  chars(alphanumeric, 12).map((text) => `xoxb-${text}`),
  FastCheck.tuple(chars(alphanumeric, 12), chars(alphanumeric, 12), chars(alphanumeric, 12)).map(([a, b, c]) =>
    `eyJ${a}.${b}.${c}`
  )
)

/** One that only its place gives away. It has a letter: a number is no secret. */
const plain = chars(alphanumeric, 8).map((text) => `x${text}`)

const around = FastCheck.constantFrom(
  (text: string) => text,
  (text: string) => `stderr: ${text}. And more`,
  (text: string) => `message="${text}" level=INFO`,
  (text: string) => JSON.stringify({ message: text, list: [text] }),
  (text: string) => JSON.stringify({ message: JSON.stringify({ message: text }) }),
  (text: string) => `first line\n${text}\nlast line`
)

const places = FastCheck.constantFrom(
  (text: string) => `Authorization: Bearer ${text}`,
  (text: string) => `authorization: token ${text}`,
  (text: string) => `Basic ${text}`,
  (text: string) => `ANTHROPIC_API_KEY=${text}`,
  (text: string) => `export MY_SECRET='${text}'`,
  (text: string) => `{"apiKey":"${text}"}`,
  (text: string) => `{"access_token": "${text}", "ok": true}`,
  (text: string) => `x-api-key: ${text}`,
  (text: string) => `Cookie: session=${text}; other=${text}`,
  (text: string) => `--token=${text}`,
  (text: string) => `db_password: ${text}`
)

describe("redaction", () => {
  it("takes away what looks like a secret, wherever it stands", () => {
    FastCheck.assert(
      FastCheck.property(telling, around, (secret, put) => {
        assert.notInclude(redact(put(secret)), secret)
      }),
      { numRuns: 500 }
    )
  })

  it("takes away what its place says is a secret", () => {
    FastCheck.assert(
      FastCheck.property(plain, places, around, (secret, place, put) => {
        assert.notInclude(redact(put(place(secret))), secret)
      }),
      { numRuns: 2000 }
    )
  })

  it("takes away the values that it is given, as they are and as JSON and addresses have them", () => {
    const any = FastCheck.fullUnicodeString({ minLength: 6, maxLength: 40 })
    FastCheck.assert(
      FastCheck.property(any, around, (secret, put) => {
        const safe = redactor([secret])(put(secret))
        assert.isFalse(safe.includes(secret) && !"<redacted>".includes(secret))
        assert.notInclude(safe, JSON.stringify(secret).slice(1, -1))
      }),
      { numRuns: 1000 }
    )
  })

  it("takes away the whole of a value that has another in it", () => {
    assert.strictEqual(redactor(["secret", "secret-and-more"])("a secret-and-more b"), "a <redacted> b")
  })

  it("leaves JSON what it is", () => {
    FastCheck.assert(
      FastCheck.property(telling, plain, places, (secret, other, place) => {
        const text = JSON.stringify({ message: place(other), n: 5, inner: JSON.stringify({ token: secret }) })
        assert.strictEqual(JSON.parse(redact(text)).n, 5)
      }),
      { numRuns: 500 }
    )
  })

  it("leaves alone what is none: numbers, ids, words, and what it has been over", () => {
    for (
      const text of [
        `timestamp=2026-11-22T00:00:00.000Z level=INFO fiber=#12 message="query ended" inputTokens=5 outputTokens=12`,
        `callId=0af76519-16cd-43dd-8448-eb211c80319c traceId=0af7651916cd43dd8448eb211c80319c costUsd=0.25`,
        `{"inputTokens":5,"maxTokens":100,"token_count":7}`,
        `the key to it, a token of love`
      ]
    ) assert.strictEqual(redact(text), text)
    FastCheck.assert(
      FastCheck.property(plain, places, around, (secret, place, put) => {
        const once = redact(put(place(secret)))
        assert.strictEqual(redact(once), once)
      }),
      { numRuns: 500 }
    )
  })

  it("knows the names of variables whose values are secret", () => {
    const names = ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "my_secret", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY"]
    assert.deepStrictEqual(names.filter((name) => !isSecretName(name)), [])
    assert.deepStrictEqual(["PATH", "HOME", "LANG"].filter(isSecretName), [])
  })
})
