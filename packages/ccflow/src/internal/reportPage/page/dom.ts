/** Attributes by their names; what is undefined is left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>

/** What is false is left out. */
export type Child = Node | string | false

/** An element. Text is text, whatever is in it. */
export const element = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[Name] => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(key, String(value))
  }
  made.append(...children.filter((child) => child !== false))
  return made
}

export const button = (text: string, press: () => void, attributes: Attributes = {}): HTMLButtonElement => {
  const made = element("button", { type: "button", ...attributes }, text)
  made.addEventListener("click", press)
  return made
}

/** What others have named: it cannot turn around the text that it stands in. */
export const said = (text: string): HTMLElement => element("bdi", { dir: "auto" }, text)

/** A line beside what counts. */
export const quiet = (...children: ReadonlyArray<Child>): HTMLElement => element("p", { class: "quiet" }, ...children)

/** The first cell of each row is its heading, the others are figures. */
export const table = (
  caption: string,
  columns: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): HTMLElement =>
  element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", { class: "hidden" }, caption),
      element("thead", {}, element("tr", {}, ...columns.map((title) => element("th", { scope: "col" }, title)))),
      element(
        "tbody",
        {},
        ...rows.map(([heading = "", ...figures]) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, said(heading)),
            ...figures.map((figure) => element("td", {}, figure))
          )
        )
      )
    )
  )
