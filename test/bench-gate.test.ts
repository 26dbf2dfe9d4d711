import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { changes, type Figure, figuresOf, report } from "../scripts/bench/gate.js"

const figure = (name: string, median: number, better: Figure["better"] = "lower", noise = 0): Figure => ({
  name,
  better,
  median,
  noise
})

const verdicts = (before: Figure, now: Figure) => changes([before], [now]).map(({ verdict }) => verdict)

describe("the benchmarks' gate", () => {
  it("lets a figure be as it was, whatever it is", () => {
    fc.assert(fc.property(
      fc.double({ noNaN: true, min: -1e3, max: 1e3 }),
      fc.constantFrom("lower" as const, "higher" as const),
      (median, better) => {
        assert.deepStrictEqual(verdicts(figure("a", median, better), figure("a", median, better)), ["same"])
      }
    ))
  })

  it("calls what costs more worse, and what is slower worse", () => {
    assert.deepStrictEqual(verdicts(figure("cost", 1), figure("cost", 1.2)), ["worse"])
    assert.deepStrictEqual(verdicts(figure("cost", 1), figure("cost", 0.8)), ["better"])
    assert.deepStrictEqual(verdicts(figure("speed", 1, "higher"), figure("speed", 0.8, "higher")), ["worse"])
    assert.deepStrictEqual(verdicts(figure("speed", 1, "higher"), figure("speed", 1.2, "higher")), ["better"])
  })

  it("blames nobody for what the noise of either run may be", () => {
    assert.deepStrictEqual(verdicts(figure("a", 1, "lower", 0.1), figure("a", 1.2)), ["same"])
    assert.deepStrictEqual(verdicts(figure("a", 1), figure("a", 1.2, "lower", 0.1)), ["same"])
    assert.deepStrictEqual(verdicts(figure("a", 1, "lower", 0.01), figure("a", 1.2, "lower", 0.01)), ["worse"])
  })

  it("compares what both runs have, and says how much that is", () => {
    const all = changes([figure("a", 1), figure("gone", 1)], [
      figure("a", 2),
      figure("new", 9),
      figure("left out", NaN)
    ])
    assert.deepStrictEqual(all.map(({ name }) => name), ["a"])
    const text = report(all)
    assert.include(text, "| a | 1.00 | 2.00 | ± 0.0500 | **worse** |")
    assert.include(text, "1 figures compared: 1 worse, 0 better.")
  })

  it("takes the rows that have a figure, and their noise from the spread of the rounds", () => {
    const value = { median: 2, low: 1, high: 3 }
    const rows = [
      { what: "few", against: "base", gauge: { value, rounds: 4, better: "lower" as const } },
      { what: "many", gauge: { value, rounds: 16, better: "higher" as const } },
      { what: "text only" }
    ]
    const [few, many, ...rest] = figuresOf([{ title: "section", rows }])
    assert.deepStrictEqual([few?.name, many?.name], ["section · few · base", "section · many"])
    assert.closeTo((few?.noise ?? 0) / (many?.noise ?? 1), 2, 1e-9)
    assert.isEmpty(rest)
  })
})
