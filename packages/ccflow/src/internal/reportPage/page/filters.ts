import type { ReportData } from "../data.js"
import { element } from "./dom.js"
import { everything, type Filter } from "./figures.js"
import { moment } from "./format.js"

/** What the figures are of. `changed` is called whenever that changes. */
export const filterForm = (data: ReportData, changed: (filter: Filter) => void) => {
  const used = (places: Iterable<number>) =>
    [...new Set(places)].filter((place) => place >= 0)
      .map((place) => ({ value: place, label: data.names[place] || "unknown" }))
      .sort((one, other) => one.label < other.label ? -1 : 1)
  const range = select("range", "Time", "All that is here", [
    { value: 1, label: "The last day" },
    { value: 7, label: "The last 7 days" },
    { value: 30, label: "The last 30 days" },
    { value: 90, label: "The last 90 days" },
    { value: 0, label: "From, to…" }
  ])
  const [first, last] = [data.days[0], data.days.at(-1)]
  const from = date("from", "From", first, last)
  const to = date("to", "To", first, last)
  const model = select("model", "Model", "All models", used([...data.usage, ...data.calls].map(([, model]) => model)))
  const tag = select("tag", "Tag", "All tags", used(data.tagSets.flat()))
  const session = select(
    "session",
    "Session",
    "All sessions",
    data.sessions.map(({ title, used }, value) => ({ value, label: `${moment(used)}: ${title || "Query"}` }))
  )
  const reset = element("button", { type: "button", id: "everything" }, "Show everything")
  const node = element(
    "form",
    { id: "filters", "aria-label": "What is shown" },
    range.node,
    from.node,
    to.node,
    model.node,
    tag.node,
    session.node,
    reset
  )

  const ago = (days: number): string => {
    const day = new Date(data.madeAt)
    day.setDate(day.getDate() - days + 1)
    return [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((part) => String(part).padStart(2, "0")).join("-")
  }
  const filter = (): Filter => {
    const days = range.value()
    return {
      from: days < 0 ? "" : days === 0 ? from.input.value : ago(days),
      to: days === 0 ? to.input.value : "",
      model: model.value(),
      tag: tag.value(),
      session: session.value()
    }
  }
  const tell = () => {
    const own = range.value() === 0
    from.node.hidden = !own
    to.node.hidden = !own
    const now = filter()
    reset.disabled = JSON.stringify(now) === JSON.stringify(everything)
    changed(now)
  }
  node.addEventListener("submit", (event) => event.preventDefault())
  node.addEventListener("change", tell)
  reset.addEventListener("click", () => {
    node.reset()
    tell()
    range.input.focus()
  })
  return {
    node,
    tell,
    only: (place: number) => {
      session.input.value = String(place)
      tell()
      session.input.focus()
    }
  }
}

// ---------------------------------------------------------------------------

interface Choice {
  readonly value: number
  readonly label: string
}

const field = (id: string, label: string, input: HTMLElement) =>
  element("div", { class: "field" }, element("label", { for: id }, label), input)

const select = (id: string, label: string, all: string, choices: ReadonlyArray<Choice>) => {
  const input = element(
    "select",
    { id },
    element("option", { value: -1 }, all),
    ...choices.map(({ label, value }) => element("option", { value }, label))
  )
  return { input, node: field(id, label, input), value: () => Number(input.value) }
}

const date = (id: string, label: string, min: string | undefined, max: string | undefined) => {
  const input = element("input", { id, type: "date", min, max })
  return { input, node: field(id, label, input) }
}
