import type { ReportData, StepCell, TurnData } from "../data.js"
import { button, element, said } from "./dom.js"
import { duration, moment } from "./format.js"

/**
 * The turns of a session and their parts as bars below each other, and what can be done with them. Time in which nothing
 * ran is left out.
 */
export const waterfall = (data: ReportData, turns: ReadonlyArray<TurnData>) => {
  const { length, starts } = packed(turns)
  const list = element("ol", { class: "turns" })
  const ruler = element("div", { class: "ruler", "aria-hidden": "true" })
  const paint = (own: boolean) => {
    ruler.replaceChildren(...own ? [] : ticks.map((share) => element("span", {}, duration(length * share))))
    list.replaceChildren(
      ...turns.map((turn, index) => turnItem(data, turn, own ? 0 : starts[index] ?? 0, own ? turn.ms : length))
    )
  }
  paint(false)
  const node = element("div", { class: "waterfall" }, ruler, list)
  if (turns.length < 2) return { node, actions: [] }
  const scale = button("Each turn in its own scale", () => {
    const own = scale.getAttribute("aria-pressed") !== "true"
    scale.setAttribute("aria-pressed", String(own))
    paint(own)
  }, { "aria-pressed": "false" })
  return { node, actions: [scale] }
}

// ---------------------------------------------------------------------------

const ticks = [0, 0.25, 0.5, 0.75, 1]

const packed = (turns: ReadonlyArray<TurnData>) => {
  const starts: Array<number> = []
  let end = turns[0]?.start ?? 0
  let idle = end
  for (const { ms, start } of turns) {
    idle += Math.max(0, start - end)
    starts.push(start - idle)
    end = Math.max(end, start + ms)
  }
  return { starts, length: Math.max(1, end - idle) }
}

const turnItem = (data: ReportData, turn: TurnData, start: number, length: number): HTMLElement => {
  const error = turn.error < 0 ? "" : data.names[turn.error] ?? ""
  return element(
    "li",
    {},
    bar({
      kind: `turn ${turn.end}`,
      what: turn.title === "" ? "Turn" : turn.title,
      when: moment(turn.start),
      told: endings[turn.end] + (error === "" ? "" : `: ${error}`),
      start,
      ms: turn.ms,
      length
    }),
    turn.steps.length > 0 && element(
      "ol",
      {},
      ...turn.steps.map((step) => element("li", {}, stepBar(data, step, start, length)))
    )
  )
}

const endings: Readonly<Record<TurnData["end"], string>> = {
  success: "",
  failure: "failed",
  interrupted: "interrupted",
  cut: "cut off",
  running: "running"
}

/** By their place in a `StepCell`: how each is said, and what it means that it failed. */
const kinds = [
  { kind: "tool", failed: "failed", what: (name: string) => name },
  { kind: "retry", failed: "failed", what: (name: string) => `Retry after ${name}` },
  { kind: "wait", failed: "failed", what: (name: string) => `Wait for ${name}` },
  { kind: "permission", failed: "denied", what: (name: string) => `May ${name} run?` },
  { kind: "mark", failed: "", what: (name: string) => name }
] as const

const stepBar = (data: ReportData, [kindAt, nameAt, from, ms, state]: StepCell, start: number, length: number) => {
  const { failed, kind, what } = kinds[kindAt]
  return bar({
    kind: `${kind}${["", " failure", " open"][state]}`,
    what: what(data.names[nameAt] ?? ""),
    told: ["", failed, "no end known"][state] ?? "",
    start: start + from,
    // What happened at one moment took no time.
    ms: kind === "mark" ? undefined : ms,
    length
  })
}

const bar = ({ kind, length, ms, start, told, what, when }: {
  readonly kind: string
  readonly what: string
  readonly when?: string
  readonly told: string
  readonly start: number
  readonly ms: number | undefined
  readonly length: number
}): HTMLElement => {
  const fillOf = (value: number) => Math.min(100, Math.max(0, 100 * value / Math.max(1, length)))
  const shape = element("span", { class: "bar" })
  shape.style.left = `min(${fillOf(start)}%, 100% - 3px)`
  shape.style.width = `max(3px, ${fillOf(start + (ms ?? 0)) - fillOf(start)}%)`
  return element(
    "div",
    { class: `row ${kind}` },
    element("span", { class: "what" }, said(what), when !== undefined && element("span", { class: "when" }, when)),
    element("span", { class: "track", "aria-hidden": "true" }, shape),
    element(
      "span",
      { class: "took" },
      ...told === "" ? [] : [element("strong", {}, told), " "],
      ms !== undefined && duration(ms)
    )
  )
}
