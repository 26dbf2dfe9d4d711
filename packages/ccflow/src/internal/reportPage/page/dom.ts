/** Attributes by their names; what is undefined or false is left out, true is there without a value. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

export type Child = Node | string

/** An element. Text is text, whatever is in it. */
export const element = <Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Child>
): HTMLElementTagNameMap[Name] => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "")
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value))
  }
  made.append(...children)
  return made
}

/** What others have named: it cannot turn around the text that it stands in. */
export const said = (text: string): HTMLElement => element("bdi", { dir: "auto" }, text)

export interface Column {
  readonly title: string
  readonly number?: boolean
}

/** The first cell of each row is its heading. */
export const table = (
  caption: string,
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): HTMLElement => {
  const kind = (index: number) => columns[index]?.number === true ? "number" : undefined
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", { class: "hidden" }, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...columns.map(({ title }, index) => element("th", { scope: "col", class: kind(index) }, title))
        )
      ),
      element(
        "tbody",
        {},
        ...rows.map((row) =>
          element(
            "tr",
            {},
            ...row.map((cell, index) =>
              index === 0
                ? element("th", { scope: "row" }, said(cell))
                : element("td", { class: kind(index) }, cell)
            )
          )
        )
      )
    )
  )
}

/** The same place with something else in it. */
export const fill = (place: Element, ...children: ReadonlyArray<Child>): void => place.replaceChildren(...children)
