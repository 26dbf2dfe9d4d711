import * as CliFrame from "@ccflow/core/CliFrame"
import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc, Schema } from "effect"
import { guard } from "../src/internal/guard.js"
import type { Frame } from "./frames.js"
import { pathsOf, replaced, without } from "./mutation.js"
import { recordedFrames } from "./recorded.js"

const schemas: ReadonlyArray<readonly [string, Schema.Schema<unknown>]> = Object.entries(CliFrame).flatMap(
  ([name, value]) => isWire(value) ? [[name, value]] : []
)

function isWire(value: unknown): value is Schema.Schema<unknown> {
  return Schema.isSchema(value)
}

const values: ReadonlyArray<unknown> = [
  without,
  undefined,
  null,
  true,
  0,
  0.5,
  "",
  "system",
  "text_delta",
  [],
  [null],
  ["a", 1],
  [{ type: "text" }],
  [{ type: 1 }],
  {},
  { type: "text", text: 1 },
  { id: "m1", model: null, content: [{ type: "text" }] }
]

/** A few changes at once, as the next version of the CLI would bring them. */
const mutant = fc.tuple(
  fc.constantFrom(...recordedFrames),
  fc.array(fc.tuple(fc.nat(), fc.constantFrom(...values)), { maxLength: 3 })
).map(([frame, changes]) =>
  changes.reduce<unknown>((changed, [at, by]) => {
    const paths = pathsOf(changed)
    return paths.length === 0 ? changed : replaced(changed, paths[at % paths.length]!, by)
  }, frame)
)

describe("a compiled guard", () => {
  it("is made for every frame", () => assert.isAtLeast(schemas.length, 25))

  it.each(schemas)("agrees with its Schema: %s", (_, schema) => {
    const [compiled, real] = [guard(schema), Schema.is(schema)]
    for (const frame of recordedFrames) assert.strictEqual(compiled(frame), real(frame))
    for (const value of values) assert.strictEqual(compiled(value), real(value))
    fc.assert(fc.property(mutant, (value) => assert.strictEqual(compiled(value), real(value))), { numRuns: 300 })
  })

  it("agrees with its Schema on every single change to every kind of real line", () => {
    const guards = schemas.map(([name, schema]) => ({ name, compiled: guard(schema), real: Schema.is(schema) }))
    let accepted = 0
    let refused = 0
    for (const frame of recordedFrames) {
      const own = guards.filter(({ real }) => real(frame))
      for (const path of pathsOf(frame)) {
        for (const by of values) {
          const changed = replaced(frame, path, by)
          for (const { compiled, name, real } of own) {
            const fits = real(changed)
            assert.strictEqual(compiled(changed), fits, `${name} at ${path.join(".")}`)
            if (fits) accepted++
            else refused++
          }
        }
      }
    }
    assert.isAbove(Math.min(accepted, refused), 1000)
  }, 60_000)

  it("leaves the frame as it is, unknown fields too", () => {
    const frame: Frame = Object.freeze({ type: "result", subtype: "success", is_error: false, tomorrow: { a: 1 } })
    const value: unknown = frame
    assert.isTrue(guard(CliFrame.Result)(value))
    assert.deepStrictEqual(value, { type: "result", subtype: "success", is_error: false, tomorrow: { a: 1 } })
  })

  it("tells a field that must be there from one that may be undefined", () => {
    const wanted = Schema.Struct({ a: Schema.Unknown, b: Schema.UndefinedOr(Schema.String) })
    const [compiled, real] = [guard(wanted), Schema.is(wanted)]
    for (const value of [{}, { a: undefined }, { a: 1, b: undefined }, { a: undefined, b: "b" }, { a: 1, b: 2 }]) {
      assert.strictEqual(compiled(value), real(value))
    }
  })

  it("refuses a schema that no line can have, rather than to guess", () => {
    assert.throws(() => guard(Schema.Struct({ a: Schema.DateFromSelf }))({}), /wire schema cannot hold/)
    assert.throws(() => guard(Schema.Tuple(Schema.String))({}), /wire schema cannot hold/)
  })
})
