/** The page's own program. What it shows is in the page, and it asks nobody for more. */
import { outcomes, type ReportData } from "../data.js"
import { element, fill } from "./dom.js"
import { costOf, type Figures, figuresOf, percentile } from "./figures.js"
import { filterForm } from "./filters.js"
import { count, dollars, duration, moment, percent, plural } from "./format.js"
import { panels, tokensOf } from "./panels.js"
import { sessionList } from "./sessions.js"

const start = (): void => {
  const page = document.getElementById("page")
  const data: ReportData = JSON.parse(document.getElementById("data")?.textContent ?? "")
  const parts = panels(data)
  const heading = header(data, () => parts.forEach(({ repaint }) => repaint()))
  if (page === null) return
  if (data.sessions.length === 0 && data.usage.length === 0 && data.calls.length === 0) {
    fill(page, heading, element("main", {}, nothingYet(data)))
    return
  }
  const cards = element("dl", { id: "cards", class: "cards" })
  const state = element("p", { class: "hidden", role: "status", id: "state" })
  const list = sessionList(data, (session) => filters.only(session))
  const filters = filterForm(data, (filter) => {
    const figures = figuresOf(data, filter)
    fill(cards, ...cardsOf(figures))
    for (const part of parts) part.show(figures)
    list.show(figures)
    state.textContent = `${dollars(figures.total.costUsd)}, ${plural(figures.calls.length, "call")}, ${
      plural(figures.sessions.length, "session")
    }`
  })
  fill(
    page,
    heading,
    element(
      "main",
      {},
      filters.node,
      state,
      element("section", { "aria-label": "In all" }, cards),
      element("div", { class: "panels" }, ...parts.map(({ node }) => node)),
      list.node,
      footnotes(data)
    )
  )
  filters.tell()
}

const header = (data: ReportData, repaint: () => void): HTMLElement => {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const root = document.documentElement
  const isDark = () => (root.getAttribute("data-theme") ?? (dark.matches ? "dark" : "light")) === "dark"
  const theme = element("button", { type: "button", id: "theme" })
  const paint = () => {
    theme.textContent = isDark() ? "Light" : "Dark"
    theme.setAttribute("aria-label", isDark() ? "Show it light" : "Show it dark")
    repaint()
  }
  theme.addEventListener("click", () => {
    root.setAttribute("data-theme", isDark() ? "light" : "dark")
    paint()
  })
  dark.addEventListener("change", paint)
  paint()
  const { madeAt, since, timeZone, until } = data
  return element(
    "header",
    {},
    element(
      "div",
      {},
      element("h1", {}, "What was used, and what it cost"),
      element(
        "p",
        { class: "quiet" },
        `${since === null ? "Everything that is kept" : `From ${moment(since)}`}${
          until === null ? "" : ` to ${moment(until)}`
        }, as of ${moment(madeAt)}. Days are those of ${timeZone}.`
      )
    ),
    theme
  )
}

const nothingYet = ({ since, until }: ReportData): HTMLElement =>
  element(
    "section",
    { class: "panel wide", id: "nothing" },
    element("h2", {}, "Nothing yet"),
    element(
      "p",
      {},
      since === null && until === null
        ? "Nothing has been kept so far. A client with a storagePath keeps its sessions, what they use and what becomes " +
          "of its calls; so does every program while CCFLOW_SESSION_STORAGE_PATH names a file."
        : "Nothing happened in this time."
    )
  )

const cardsOf = ({ calls, durations, firstMessages, sessions, total }: Figures): ReadonlyArray<HTMLElement> => {
  const failed = calls.filter(([, , , , outcome]) => outcomes[outcome] === "failure").length
  const unknown = [
    total.estimatedUsd > 0 ? `${dollars(total.estimatedUsd)} of it estimated` : "",
    total.unpriced > 0 ? `${plural(total.unpriced, "entry").replace("entrys", "entries")} without a known cost` : ""
  ].filter((text) => text !== "").join("; ")
  return [
    card("cost", "Cost", costOf(total), unknown, total.costUsd),
    card(
      "tokens",
      "Tokens",
      count(tokensOf(total)),
      `${count(total.input)} in, ${count(total.output)} out, ${count(total.cacheRead)} from cache`,
      tokensOf(total)
    ),
    card("calls", "Calls", count(calls.length), `in ${plural(sessions.length, "session")}`, calls.length),
    card("failed", "Failed", percent(failed, calls.length), plural(failed, "call"), failed),
    card(
      "median",
      "Median time",
      duration(percentile(durations, 0.5)),
      durations.length === 0 ? "" : `95 % within ${duration(percentile(durations, 0.95))}`,
      percentile(durations, 0.5) ?? -1
    ),
    card(
      "first",
      "First message",
      duration(percentile(firstMessages, 0.5)),
      firstMessages.length === 0 ? "" : "median",
      percentile(firstMessages, 0.5) ?? -1
    )
  ]
}

const card = (id: string, title: string, value: string, more: string, exact: number): HTMLElement =>
  element(
    "div",
    { class: "card" },
    element("dt", {}, title),
    element("dd", { id: `card-${id}`, "data-value": exact }, value),
    ...more === "" ? [] : [element("dd", { class: "quiet" }, more)]
  )

const footnotes = ({ left, sessions }: ReportData): HTMLElement =>
  element(
    "footer",
    { class: "quiet" },
    element(
      "p",
      {},
      "Cost and tokens are the ledger's, whole: what is unknown is in no sum, and a query that was cut is an estimate. " +
        "How calls ended and how long they took comes from the event log, or else from the records of the turns."
    ),
    ...left.calls ? [element("p", {}, "Of the calls only the latest are looked at for that.")] : [],
    ...left.steps ? [element("p", {}, "Of sessions with very many turns and tools only a part is drawn.")] : [],
    ...left.sessions > 0
      ? [element("p", {}, `Of the sessions the latest ${count(sessions.length)} can be looked at one by one.`)]
      : [],
    element("p", {}, "This page loads nothing and sends nothing.")
  )

start()
