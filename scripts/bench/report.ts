import { column, type Samples } from "./harness.js"
import { paired, ratio, type Spread, spread } from "./statistics.js"

/** A figure that later runs are compared with. */
export interface Gauge {
  readonly value: Spread
  readonly rounds: number
  readonly better: Budget["better"]
}

/** A row of the table, as text. */
export interface Row {
  readonly what: string
  /** Shown after it. */
  readonly figure?: string
  readonly gauge?: Gauge
  readonly cpu?: string
  readonly wall?: string
  readonly cpuRatio?: string
  readonly wallRatio?: string
  readonly against?: string
  readonly budget?: string
  readonly verdict?: string
}

export interface Section {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

/** What must hold, and what is aimed at. */
export interface Budget {
  readonly must: number
  readonly aim: number
  readonly better: "higher" | "lower"
  readonly unit?: string
}

const digits = (value: number): string =>
  Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2)

/** `median [p25-p75]` */
export const show = ({ high, low, median }: Spread, unit = ""): string =>
  `${digits(median)}${unit} [${digits(low)}-${digits(high)}]`

export const showBudget = ({ aim, better, must, unit = "" }: Budget): string =>
  `${better === "higher" ? ">=" : "<="} ${must} -> ${aim}${unit}`

export const verdict = ({ aim, better, must }: Budget, { median }: Spread): string => {
  const reaches = (mark: number) => better === "higher" ? median >= mark : median <= mark
  return reaches(aim) ? "aim met" : reaches(must) ? "budget met" : "**missed**"
}

export const leftOutRow = (what: string, reason: string): Row => ({ what, cpu: `left out: ${reason}` })

interface Compared {
  readonly what: string
  readonly samples: Samples
  readonly base: Samples
  readonly against: string
  /** The figures that hold CPU and wall time. */
  readonly cpu?: string
  readonly wall?: string
  readonly unit?: string
  /** Shows this instead of the time itself, such as a rate. */
  readonly shown?: (time: number) => number
  /** `speed` turns the ratio over: so many times as fast as the base. */
  readonly as?: "cost" | "speed" | "added"
  readonly budget?: Budget
  /** What the budget is for: one of the ratios, or the wall time itself. */
  readonly judged?: "cpu" | "wall" | "time"
}

/** A variant's figures, and how they stand to those of another one in the same rounds. */
export const compare = (
  {
    against,
    as = "cost",
    base,
    budget,
    cpu,
    judged = "cpu",
    samples,
    shown = (time) => time,
    unit = " ms",
    wall,
    what
  }: Compared
): Row => {
  if (samples._tag === "leftOut") return leftOutRow(what, samples.reason)
  const value = (figure: string | undefined): { readonly text?: string; readonly ratio?: Spread } => {
    if (figure === undefined) return {}
    const own = column(samples, figure)
    const other = column(base, figure)
    const text = show(spread(own.map(shown)), unit)
    if (base._tag === "leftOut" || samples === base) return { text }
    return {
      text,
      ratio: as === "added"
        ? paired(own, other, (left, right) => left - right)
        : as === "speed"
        ? ratio(other, own)
        : ratio(own, other)
    }
  }
  const of = { cpu: value(cpu), wall: value(wall) }
  const shownRatio = ({ ratio }: { readonly ratio?: Spread }) =>
    ratio === undefined
      ? {}
      : { text: as === "added" ? `${ratio.median < 0 ? "" : "+"}${show(ratio, unit)}` : show(ratio) }
  const ratios = { cpu: shownRatio(of.cpu).text, wall: shownRatio(of.wall).text }
  const decisive = judged === "time" ? spread(column(samples, wall ?? "")) : of[judged].ratio
  const gauged = budget === undefined ? of.cpu.ratio ?? of.wall.ratio : decisive
  return {
    what,
    ...(gauged === undefined ? {} : {
      gauge: {
        value: gauged,
        rounds: samples.rounds.length,
        better: budget?.better ?? (as === "speed" ? "higher" : "lower")
      }
    }),
    ...definedOnly({ cpu: of.cpu.text, wall: of.wall.text, cpuRatio: ratios.cpu, wallRatio: ratios.wall }),
    ...(samples === base ? {} : { against }),
    ...(budget === undefined ? {} : { budget: showBudget(budget) }),
    ...(budget === undefined || decisive === undefined ? {} : { verdict: verdict(budget, decisive) })
  }
}

const definedOnly = (fields: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(fields).flatMap(([name, text]) => text === undefined ? [] : [[name, text]]))

const header = ["", "CPU", "wall", "CPU ratio", "wall ratio", "against", "budget -> aim", ""]

/** Sections as one Markdown table. */
export const table = (sections: ReadonlyArray<Section>): string => {
  const lines: Array<ReadonlyArray<string>> = []
  for (const { rows, title } of sections) {
    lines.push([`**${title}**`, ...Array.from({ length: header.length - 1 }, () => "")])
    for (const { against, budget, cpu, cpuRatio, figure, verdict, wall, wallRatio, what } of rows) {
      const title = figure === undefined ? what : `${what}: ${figure}`
      lines.push([title, cpu, wall, cpuRatio, wallRatio, against, budget, verdict].map((cell) => cell ?? ""))
    }
  }
  return markdown(header, lines)
}

export const markdown = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [header, header.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n")
