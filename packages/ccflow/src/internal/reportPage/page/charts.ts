import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartDataset,
  Legend,
  LinearScale,
  Tooltip
} from "chart.js"
import { type Column, element, fill, table } from "./dom.js"

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
  readonly columns: ReadonlyArray<Column>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

export interface ChartPanel {
  readonly node: HTMLElement
  readonly show: (data: ChartData) => void
  /** In the colours as they are now. */
  readonly repaint: () => void
}

/** A chart, and the same as a table. */
export const chartPanel = (
  id: string,
  title: string,
  { format, lying = false, note }: {
    readonly format: (value: number) => string
    readonly lying?: boolean
    readonly note?: string
  }
): ChartPanel => {
  const canvas = element("canvas", { role: "img", id: `${id}-chart` })
  const frame = element("div", { class: "frame" }, canvas)
  const empty = element("p", { class: "quiet" }, "Nothing here.")
  const place = element("div", { class: "as-table" })
  const node = element(
    "section",
    { class: "panel", id, "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title),
    ...note === undefined ? [] : [element("p", { class: "quiet" }, note)],
    frame,
    empty,
    element("details", {}, element("summary", {}, "As a table"), place)
  )
  const chart = new Chart<"bar", Array<number>, string>(canvas, {
    type: "bar",
    data: { labels: [], datasets: [] },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      indexAxis: lying ? "y" : "x",
      interaction: { mode: "index", axis: lying ? "y" : "x", intersect: false },
      plugins: {
        legend: { position: "bottom", labels: { boxWidth: 12, boxHeight: 12 } },
        tooltip: {
          filter: ({ parsed }) => (lying ? parsed.x : parsed.y) !== 0,
          callbacks: {
            label: ({ dataset, parsed }) => `${dataset.label ?? ""}: ${format((lying ? parsed.x : parsed.y) ?? 0)}`
          }
        }
      },
      scales: {
        [lying ? "y" : "x"]: {
          stacked: true,
          grid: { display: false },
          ticks: {
            maxRotation: 0,
            autoSkip: !lying,
            autoSkipPadding: 12,
            callback(value) {
              const label = this.getLabelForValue(Number(value))
              return label.length > 24 ? `${label.slice(0, 23)}…` : label
            }
          }
        },
        [lying ? "x" : "y"]: {
          stacked: true,
          beginAtZero: true,
          border: { display: false },
          ticks: { maxTicksLimit: 6, maxRotation: 0, callback: (value) => format(Number(value)) }
        }
      }
    }
  })
  let shown: ReadonlyArray<Series> = []

  const repaint = () => {
    const colours = getComputedStyle(document.documentElement)
    const colour = (name: string) => colours.getPropertyValue(`--${name}`).trim()
    chart.options.color = colour("ink")
    for (const scale of Object.values(chart.options.scales ?? {})) {
      if (scale?.ticks !== undefined) scale.ticks.color = colour("quiet")
      if (scale?.grid !== undefined) scale.grid.color = colour("line")
    }
    chart.data.datasets = shown.map(({ colour: name, label, values }): ChartDataset<"bar", Array<number>> => ({
      label,
      data: [...values],
      backgroundColor: colour(name),
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
    show: ({ columns, labels, rows, series, summary }) => {
      shown = series
      chart.data.labels = [...labels]
      canvas.setAttribute("aria-label", `${title}. ${summary}`)
      frame.hidden = rows.length === 0
      empty.hidden = rows.length > 0
      if (lying) frame.style.height = `${Math.max(96, 56 + 34 * labels.length)}px`
      fill(place, table(title, columns, rows))
      repaint()
    }
  }
}
