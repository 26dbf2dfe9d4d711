import type { ReportData } from "../data.js"
import { button, element } from "./dom.js"
import { everything, type Filter } from "./figures.js"
import { dayOf, moment } from "./format.js"

/** What the figures are of. `changed` is called whenever that changes. */
export const filterForm = (data: ReportData, changed: (filter: Filter) => void) => {
  const used = (places: Iterable<number>) =>
    [...new Set(places)].filter((place) => place >= 0)
      .map((place): Choice => [place, data.names[place] || "unknown"])
      .sort(([, one], [, other]) => one < other ? -1 : 1)
  const date = (id: string, label: string) =>
    field(label, element("input", { id, type: "date", min: data.days[0], max: data.days.at(-1) }))
  const range = select("range", "Time", "All that is here", [
    [1, "The last day"],
    [7, "The last 7 days"],
    [30, "The last 30 days"],
    [90, "The last 90 days"],
    [0, "From, to…"]
  ])
  const from = date("from", "From")
  const to = date("to", "To")
  const model = select("model", "Model", "All models", used([...data.usage, ...data.calls].map(([, model]) => model)))
  const tag = select("tag", "Tag", "All tags", used(data.tagSets.flat()))
  const session = select(
    "session",
    "Session",
    "All sessions",
    data.sessions.map(({ title, used }, place) => [place, `${moment(used)}: ${title || "Query"}`])
  )
  const reset = button("Show everything", () => {
    node.reset()
    tell()
    range.input.focus()
  }, { id: "everything" })
  const node = element(
    "form",
    { id: "filters", "aria-label": "What is shown" },
    ...[range, from, to, model, tag, session].map(({ node }) => node),
    reset
  )

  const ago = (days: number): string => {
    const day = new Date(data.madeAt)
    return dayOf(day.setDate(day.getDate() - days + 1))
  }
  const filter = (): Filter => {
    const days = numberIn(range)
    return {
      from: days < 0 ? "" : days === 0 ? from.input.value : ago(days),
      to: days === 0 ? to.input.value : "",
      model: numberIn(model),
      tag: numberIn(tag),
      session: numberIn(session)
    }
  }
  const tell = () => {
    for (const { node } of [from, to]) node.hidden = numberIn(range) !== 0
    const now = filter()
    reset.disabled = JSON.stringify(now) === JSON.stringify(everything)
    changed(now)
  }
  node.addEventListener("submit", (event) => event.preventDefault())
  node.addEventListener("change", tell)
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

type Choice = readonly [value: number, label: string]

const field = <Input extends HTMLElement>(label: string, input: Input) => ({
  input,
  node: element("div", { class: "field" }, element("label", { for: input.id }, label), input)
})

const select = (id: string, label: string, all: string, choices: ReadonlyArray<Choice>) =>
  field(
    label,
    element(
      "select",
      { id },
      ...[[-1, all] as const, ...choices].map(([value, label]) => element("option", { value }, label))
    )
  )

const numberIn = ({ input }: { readonly input: HTMLSelectElement }): number => Number(input.value)
