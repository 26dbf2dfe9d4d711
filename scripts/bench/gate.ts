import type { Gauge, Section } from "./report.js"
import { markdown } from "./report.js"

/** A figure of a whole run, as it is kept to compare later runs with. */
export interface Figure {
  /** Section, variant and what it is measured against. */
  readonly name: string
  readonly better: Gauge["better"]
  readonly median: number
  /** The standard error of the median. */
  readonly noise: number
}

export interface Change extends Figure {
  readonly before: number
  /** By so much two runs of the same code may differ. */
  readonly tolerance: number
  readonly verdict: "worse" | "better" | "same"
}

/** For normally distributed figures: their deviation from the middle half, and the median's from theirs. */
const errorOf = ({ rounds, value }: Gauge): number => 1.2533 * ((value.high - value.low) / 1.349) / Math.sqrt(rounds)

export const figuresOf = (sections: ReadonlyArray<Section>): ReadonlyArray<Figure> =>
  sections.flatMap(({ rows, title }) =>
    rows.flatMap(({ against = "", gauge, what }) =>
      gauge === undefined ? [] : [{
        name: [title, what, against].filter((part) => part !== "").join(" · "),
        better: gauge.better,
        median: gauge.value.median,
        noise: errorOf(gauge)
      }]
    )
  )

/** What of a run was measured before, and how it stands to that. */
export const changes = (before: ReadonlyArray<Figure>, now: ReadonlyArray<Figure>): ReadonlyArray<Change> => {
  const known = new Map(before.map((figure) => [figure.name, figure]))
  return now.flatMap((figure): ReadonlyArray<Change> => {
    const old = known.get(figure.name)
    if (old === undefined || !Number.isFinite(figure.median)) return []
    const tolerance = errors * Math.hypot(old.noise, figure.noise) + drift * Math.abs(old.median)
    const worse = (figure.better === "lower" ? 1 : -1) * (figure.median - old.median)
    const verdict = worse > tolerance ? "worse" : worse < -tolerance ? "better" : "same"
    return [{ ...figure, before: old.median, tolerance, verdict }]
  })
}

const digits = (value: number): string => value.toPrecision(3)

/** Those that have changed, as a table, and one line about all. */
export const report = (all: ReadonlyArray<Change>): string => {
  const changed = all.filter(({ verdict }) => verdict !== "same")
  const worse = changed.filter(({ verdict }) => verdict === "worse").length
  const rows = changed.map(({ before, median, name, tolerance, verdict }) => [
    name,
    digits(before),
    digits(median),
    `± ${digits(tolerance)}`,
    verdict === "worse" ? "**worse**" : "better"
  ])
  const summary = `${all.length} figures compared: ${worse} worse, ${changed.length - worse} better.`
  return rows.length === 0 ? summary : `${markdown(["", "before", "now", "noise", ""], rows)}\n\n${summary}`
}

/** Beyond three errors, chance has one figure in some hundreds. */
const errors = 3

/** What a machine's other hours, and a new build's layout in memory, change without any change of the code. */
const drift = 0.05
