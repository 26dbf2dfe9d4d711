import { BarController, BarElement, CategoryScale, Chart, Legend, LinearScale, Tooltip } from "chart.js"
import { element, quiet, table } from "./dom.js"
import type { Figures } from "./figures.js"

Chart.register(BarController, BarElement, CategoryScale, LinearScale, Tooltip, Legend)

/** One row of bars, stacked on those before it. */
export interface Series {
  readonly label: string
  /** The name of a colour of the style. */
  readonly colour: string
  readonly values: ReadonlyArray<number>
}

export interface ChartData {
  /** What it says, for those who do not see it. */
  readonly summary: string
  readonly labels: ReadonlyArray<string>
  readonly series: ReadonlyArray<Series>
  /** Of the table: the first is of headings, the others of figures. */
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

export interface ChartOptions {
  readonly format: (value: number) => string
  /** Its bars lie below each other. Default: false. */
  readonly lying?: boolean
  readonly note?: string
}

export interface Panel {
  readonly node: HTMLElement
  readonly show: (figures: Figures) => void
  /** In the colours as they are now. */
  readonly repaint: () => void
}

/** A chart of the figures, and the same as a table. */
export const chartPanel = (
  id: string,
  title: string,
  { format, lying = false, note }: ChartOptions,
  dataOf: (figures: Figures) => ChartData
): Panel => {
  const canvas = element("canvas", { role: "img", id: `${id}-chart` })
  const frame = element("div", { class: "frame" }, canvas)
  const empty = quiet("Nothing here.")
  const place = element("div")
  const node = element(
    "section",
    { class: "panel", id, "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title),
    note !== undefined && quiet(note),
    frame,
    empty,
    element("details", {}, element("summary", {}, "As a table"), place)
  )
  const [names, values] = lying ? ["y", "x"] as const : ["x", "y"] as const
  const chart = new Chart<"bar", Array<number>, string>(canvas, {
    type: "bar",
    data: { labels: [], datasets: [] },
    options: {
      animation: false,
      maintainAspectRatio: false,
      color: colour("ink"),
      indexAxis: names,
      interaction: { mode: "index", axis: names, intersect: false },
      plugins: {
        legend: { position: "bottom", labels: { boxWidth: 12, boxHeight: 12 } },
        tooltip: {
          filter: ({ parsed }) => parsed[values] !== 0,
          callbacks: { label: ({ dataset, parsed }) => `${dataset.label ?? ""}: ${format(parsed[values] ?? 0)}` }
        }
      },
      scales: {
        [names]: {
          stacked: true,
          grid: { display: false },
          ticks: {
            color: colour("quiet"),
            maxRotation: 0,
            autoSkip: !lying,
            autoSkipPadding: 12,
            callback(value) {
              const label = this.getLabelForValue(Number(value))
              return label.length > 24 ? `${label.slice(0, 23)}…` : label
            }
          }
        },
        [values]: {
          stacked: true,
          border: { display: false },
          grid: { color: colour("line") },
          ticks: {
            color: colour("quiet"),
            maxTicksLimit: 6,
            maxRotation: 0,
            callback: (value) => format(Number(value))
          }
        }
      }
    }
  })
  let shown: ReadonlyArray<Series> = []

  const repaint = () => {
    chart.data.datasets = shown.map((series) => ({
      label: series.label,
      data: [...series.values],
      backgroundColor: colour(series.colour)(),
      maxBarThickness: lying ? 22 : 40,
      borderRadius: 2
    }))
    const { legend } = chart.options.plugins ?? {}
    if (legend !== undefined) legend.display = shown.length > 1
    chart.update("none")
  }

  return {
    node,
    repaint,
    show: (figures) => {
      const { columns, labels, rows, series, summary } = dataOf(figures)
      shown = series
      chart.data.labels = [...labels]
      canvas.setAttribute("aria-label", `${title}. ${summary}`)
      frame.hidden = rows.length === 0
      empty.hidden = rows.length > 0
      if (lying) frame.style.height = `${Math.max(96, 56 + 34 * labels.length)}px`
      place.replaceChildren(table(title, columns, rows))
      repaint()
    }
  }
}

// ---------------------------------------------------------------------------

/** A colour of the style, as it is when it is asked for. */
const colour = (name: string) => (): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
