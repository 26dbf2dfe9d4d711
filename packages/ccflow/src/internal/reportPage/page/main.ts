/** The page's own program. What it shows is in the page, and it asks nobody for more. */
import { count, dollars, plural } from "../../amounts.js"
import { outcomes, type ReportData } from "../data.js"
import { button, element, quiet } from "./dom.js"
import { costOf, type Figures, figuresOf, percentile, tokensOf } from "./figures.js"
import { filterForm } from "./filters.js"
import { duration, moment, percent } from "./format.js"
import { panels } from "./panels.js"
import { sessionList } from "./sessions.js"

const start = (): void => {
  const data: ReportData = JSON.parse(document.getElementById("data")?.textContent ?? "")
  const parts = panels(data)
  const show = (...children: ReadonlyArray<Node>) =>
    document.getElementById("page")?.replaceChildren(
      header(data, () => parts.forEach(({ repaint }) => repaint())),
      element("main", {}, ...children)
    )
  if (data.sessions.length === 0 && data.usage.length === 0 && data.calls.length === 0) return show(nothingYet(data))
  const cards = element("dl", { id: "cards", class: "cards" })
  const state = element("p", { class: "hidden", role: "status", id: "state" })
  const list = sessionList(data, (session) => filters.only(session))
  const filters = filterForm(data, (filter) => {
    const figures = figuresOf(data, filter)
    cards.replaceChildren(...cardsOf(figures))
    for (const part of parts) part.show(figures)
    list.show(figures)
    state.textContent = `${dollars(figures.total.costUsd)}, ${plural(figures.calls.length, "call")}, ${
      plural(figures.sessions.length, "session")
    }`
  })
  show(
    filters.node,
    state,
    element("section", { "aria-label": "In all" }, cards),
    element("div", { class: "panels" }, ...parts.map(({ node }) => node)),
    list.node,
    footnotes(data)
  )
  filters.tell()
}

const header = ({ madeAt, since, timeZone, until }: ReportData, repaint: () => void): HTMLElement => {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const root = document.documentElement
  const isDark = () => (root.getAttribute("data-theme") ?? (dark.matches ? "dark" : "light")) === "dark"
  const paint = () => {
    theme.textContent = isDark() ? "Light" : "Dark"
    theme.setAttribute("aria-label", isDark() ? "Show it light" : "Show it dark")
    repaint()
  }
  const theme = button("", () => {
    root.setAttribute("data-theme", isDark() ? "light" : "dark")
    paint()
  }, { id: "theme" })
  dark.addEventListener("change", paint)
  paint()
  const from = since === null ? "Everything that is kept" : `From ${moment(since)}`
  const to = until === null ? "" : ` to ${moment(until)}`
  return element(
    "header",
    {},
    element(
      "div",
      {},
      element("h1", {}, "What was used, and what it cost"),
      quiet(`${from}${to}, as of ${moment(madeAt)}. Days are those of ${timeZone}.`)
    ),
    theme
  )
}

const nothingYet = ({ since, until }: ReportData): HTMLElement =>
  element(
    "section",
    { class: "panel", id: "nothing" },
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
    total.unpriced > 0 ? `${plural(total.unpriced, "entry", "entries")} without a known cost` : ""
  ].filter((text) => text !== "").join("; ")
  const tokens = tokensOf(total)
  const [median, first] = [durations, firstMessages].map((times) => percentile(times, 0.5))
  return [
    card("cost", "Cost", costOf(total), unknown, total.costUsd),
    card(
      "tokens",
      "Tokens",
      count(tokens),
      `${count(total.input)} in, ${count(total.output)} out, ${count(total.cacheRead)} from cache`,
      tokens
    ),
    card("calls", "Calls", count(calls.length), `in ${plural(sessions.length, "session")}`, calls.length),
    card("failed", "Failed", percent(failed, calls.length), plural(failed, "call"), failed),
    card(
      "median",
      "Median time",
      duration(median),
      median === undefined ? "" : `95 % within ${duration(percentile(durations, 0.95))}`,
      median
    ),
    card("first", "First message", duration(first), first === undefined ? "" : "median", first)
  ]
}

/** `exact` is for programs that read the page. */
const card = (id: string, title: string, value: string, more: string, exact: number | undefined): HTMLElement =>
  element(
    "div",
    { class: "card" },
    element("dt", {}, title),
    element("dd", { id: `card-${id}`, "data-value": exact ?? -1 }, value),
    more !== "" && element("dd", { class: "quiet" }, more)
  )

const footnotes = ({ left, sessions }: ReportData): HTMLElement =>
  element(
    "footer",
    { class: "quiet" },
    ...[
      "Cost and tokens are the ledger's, whole: what is unknown is in no sum, and a query that was cut is an estimate. " +
      "How calls ended and how long they took comes from the event log, or else from the records of the turns.",
      left.calls && "Of the calls only the latest are looked at for that.",
      left.steps && "Of sessions with very many turns and tools only a part is drawn.",
      left.sessions > 0 && `Of the sessions the latest ${count(sessions.length)} can be looked at one by one.`,
      "This page loads nothing and sends nothing."
    ].map((text) => text !== false && element("p", {}, text))
  )

start()
