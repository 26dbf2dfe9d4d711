import { plural } from "../../amounts.js"
import type { ReportData, SessionData, Sum } from "../data.js"
import { button, element, quiet, said } from "./dom.js"
import { costOf, type Figures } from "./figures.js"
import { moment } from "./format.js"
import { waterfall } from "./waterfall.js"

/** The sessions, each with its turns behind it. `only` asks for the figures of one alone. */
export const sessionList = (data: ReportData, only: (session: number) => void) => {
  const list = element("ol", { class: "sessions" })
  const more = button("Show more", () => {
    const first = open
    open += page
    paint()
    list.children[first]?.querySelector("summary")?.focus()
  })
  const none = quiet("None of them has anything of this.")
  const node = element(
    "section",
    { class: "panel", id: "sessions", "aria-labelledby": "sessions-title" },
    element("h2", { id: "sessions-title" }, "Sessions"),
    data.left.sessions > 0 &&
      quiet(`The latest ${data.sessions.length}; ${plural(data.left.sessions, "older one")} in the sums alone.`),
    legend(),
    none,
    list,
    more
  )
  let shown: Pick<Figures, "sessions" | "bySession"> = { sessions: [], bySession: new Map() }
  let open = page

  const paint = () => {
    const places = shown.sessions.slice(0, open)
    const opened = new Set([...list.querySelectorAll("details[open]")].map((item) => item.getAttribute("data-session")))
    list.replaceChildren(...places.flatMap((place) => {
      const session = data.sessions[place]
      if (session === undefined) return []
      const item = sessionItem(data, session, shown.bySession.get(place), () => only(place))
      item.open = opened.has(session.id)
      return [element("li", {}, item)]
    }))
    none.hidden = places.length > 0
    more.hidden = shown.sessions.length <= open
  }
  return {
    node,
    show: (figures: Figures) => {
      shown = figures
      open = page
      paint()
    }
  }
}

// ---------------------------------------------------------------------------

const page = 25

const legend = (): HTMLElement =>
  element(
    "ul",
    { class: "legend", "aria-label": "Colours of the timelines" },
    ...["turn", "tool", "retry", "wait", "permission", "failure"].map((kind) =>
      element("li", { class: `row ${kind}` }, element("span", { class: "bar" }), kind === "failure" ? "failed" : kind)
    )
  )

const sessionItem = (data: ReportData, session: SessionData, sum: Sum | undefined, only: () => void) => {
  const failed = session.turns.filter(({ end }) => end === "failure" || end === "cut").length
  const model = session.model < 0 ? "" : data.names[session.model] ?? ""
  const tags = (data.tagSets[session.tagSet] ?? []).map((tag) => data.names[tag] ?? "")
  const item = element(
    "details",
    { "data-session": session.id },
    element(
      "summary",
      {},
      element("span", { class: "title" }, session.title === "" ? "Query" : said(session.title)),
      element(
        "span",
        { class: "facts" },
        element("span", {}, moment(session.used)),
        model !== "" && element("span", {}, said(model)),
        element("span", {}, plural(session.turns.length, "turn")),
        failed > 0 && element("strong", { class: "failure" }, `${failed} failed`),
        ...tags.map((tag) => element("span", { class: "tag" }, said(tag)))
      ),
      element("span", { class: "cost" }, sum === undefined ? "–" : costOf(sum))
    )
  )
  let filled = false
  item.addEventListener("toggle", () => {
    if (filled || !item.open) return
    filled = true
    const { actions, node } = waterfall(data, session.turns)
    item.append(element(
      "div",
      { class: "inside" },
      quiet("Session ", element("code", {}, said(session.id))),
      element("div", { class: "actions" }, button("Only this session", only), ...actions),
      session.turns.length === 0 ? quiet("No turns are known of it here.") : node
    ))
  })
  return item
}
