import type { ReportData, StepCell, TurnData } from "../data.js"
import { element, fill, said } from "./dom.js"
import { duration, moment } from "./format.js"

/** What can be done with a timeline. */
export interface Waterfall {
  readonly node: HTMLElement
  readonly actions: ReadonlyArray<HTMLElement>
}

/** The turns of a session and their parts as bars below each other. Time in which nothing ran is left out. */
export const waterfall = (data: ReportData, turns: ReadonlyArray<TurnData>): Waterfall => {
  const { length, starts } = packed(turns)
  const list = element("ol", { class: "turns" })
  const ruler = element("div", { class: "ruler", "aria-hidden": "true" })
  const paint = (own: boolean) => {
    fill(ruler, ...own ? [] : ticks.map((share) => element("span", {}, duration(length * share))))
    fill(
      list,
      ...turns.map((turn, index) => turnItem(data, turn, own ? 0 : starts[index] ?? 0, own ? turn.ms : length))
    )
  }
  paint(false)
  const node = element("div", { class: "waterfall" }, ruler, list)
  if (turns.length < 2) return { node, actions: [] }
  const scale = element("button", { type: "button", "aria-pressed": "false" }, "Each turn in its own scale")
  scale.addEventListener("click", () => {
    const own = scale.getAttribute("aria-pressed") !== "true"
    scale.setAttribute("aria-pressed", String(own))
    paint(own)
  })
  return { node, actions: [scale] }
}

// ---------------------------------------------------------------------------

const ticks = [0, 0.25, 0.5, 0.75, 1]

const packed = (turns: ReadonlyArray<TurnData>) => {
  const starts: Array<number> = []
  let end = -Infinity
  let idle = turns[0]?.start ?? 0
  for (const { ms, start } of turns) {
    if (end !== -Infinity && start > end) idle += start - end
    starts.push(start - idle)
    end = Math.max(end, start + ms)
  }
  return { starts, length: turns.length === 0 ? 0 : Math.max(1, end - idle) }
}

const turnItem = (data: ReportData, turn: TurnData, start: number, length: number): HTMLElement => {
  const error = turn.error < 0 ? "" : data.names[turn.error] ?? ""
  const told = endings[turn.end] + (error === "" ? "" : `: ${error}`)
  return element(
    "li",
    {},
    bar({
      kind: `turn ${turn.end}`,
      what: turn.title === "" ? "Turn" : turn.title,
      when: moment(turn.start),
      told,
      start,
      ms: turn.ms,
      length
    }),
    ...turn.steps.length === 0 ? [] : [element(
      "ol",
      {},
      ...turn.steps.map((step) => element("li", {}, stepBar(data, step, start, length)))
    )]
  )
}

const endings: Readonly<Record<TurnData["end"], string>> = {
  success: "",
  failure: "failed",
  interrupted: "interrupted",
  cut: "cut off",
  running: "running"
}

const kinds = ["tool", "retry", "wait", "permission", "mark"] as const

const whatOf = (kind: (typeof kinds)[number], name: string): string => {
  switch (kind) {
    case "tool":
    case "mark":
      return name
    case "retry":
      return `Retry after ${name}`
    case "wait":
      return `Wait for ${name}`
    case "permission":
      return `May ${name} run?`
  }
}

const stepBar = (data: ReportData, [kindAt, nameAt, from, ms, state]: StepCell, start: number, length: number) => {
  const kind = kinds[kindAt]
  const failed = kind === "permission" ? "denied" : kind === "mark" ? "" : "failed"
  return bar({
    kind: `${kind}${state === 1 ? " failure" : state === 2 ? " open" : ""}`,
    what: whatOf(kind, data.names[nameAt] ?? ""),
    when: "",
    told: state === 1 ? failed : state === 2 ? "no end known" : "",
    start: start + from,
    ms,
    length,
    moment: kind === "mark"
  })
}

const bar = ({ kind, length, moment = false, ms, start, told, what, when }: {
  readonly kind: string
  readonly what: string
  readonly when: string
  readonly told: string
  readonly start: number
  readonly ms: number
  readonly length: number
  readonly moment?: boolean
}): HTMLElement => {
  const fillOf = (value: number) => Math.min(100, Math.max(0, 100 * value / Math.max(1, length)))
  const shape = element("span", { class: "bar" })
  shape.style.left = `min(${fillOf(start)}%, 100% - 3px)`
  shape.style.width = `max(3px, ${fillOf(start + ms) - fillOf(start)}%)`
  return element(
    "div",
    { class: `row ${kind}` },
    element(
      "span",
      { class: "what" },
      said(what),
      ...when === "" ? [] : [element("span", { class: "when" }, when)]
    ),
    element("span", { class: "track", "aria-hidden": "true" }, shape),
    element(
      "span",
      { class: "took" },
      ...told === "" ? [] : [element("strong", {}, told), " "],
      moment ? "" : duration(ms)
    )
  )
}
