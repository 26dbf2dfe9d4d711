/** Shapes and their differences as Markdown. Pure. */
import { type Change, type Changes, changesBetween, isEmpty } from "./diff.js"
import { isBelow, outermost } from "./fields.js"
import { isKnown, untyped } from "./known.js"
import type { Shape } from "./shape.js"

/** What lies below another one is counted. */
const code = (names: ReadonlyArray<string>): string =>
  outermost(names).map((name) => {
    const below = names.filter((other) => isBelow(other, name)).length
    return `\`${name}\`${below === 0 ? "" : ` (and ${below} in it)`}`
  }).join(", ")

const told = ({ added, changed, gone }: Change): ReadonlyArray<string> => [
  ...(added.length === 0 ? [] : [`* new: ${code(added)}`]),
  ...(gone.length === 0 ? [] : [`* vanished: ${code(gone)}`]),
  ...changed.map((change) => `* changed: \`${change}\``)
]

const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [`### ${title}`, "", ...lines, ""]

const each = (changes: Readonly<Record<string, Change>>): ReadonlyArray<string> =>
  Object.entries(changes).flatMap(([name, change]) => [`* \`${name}\``, ...told(change).map((line) => `  ${line}`)])

/** What the library's schemas do not know of a version; `shown` are the fields to tell, by default all. */
const unknown = (
  { frames }: Shape,
  shown: (kind: string, field: string) => boolean = () => true
): ReadonlyArray<string> =>
  Object.entries(frames).flatMap(([kind, fields]) => {
    if (!isKnown(kind)) return [`* \`${kind}\` arrives as \`Unknown\``]
    const missing = untyped(kind, fields).filter((field) => shown(kind, field))
    return missing.length === 0 ? [] : [`* \`${kind}\` has fields that no schema names: ${code(missing)}`]
  })

/** The differences of two versions. What is new for the schemas, too, is told by itself: that is the work to do. */
export const reportOf = (before: Shape, after: Shape): string => {
  const changes = changesBetween(before, after)
  const old = (kind: string, field: string) => Object.hasOwn(before.frames[kind] ?? {}, field)
  const parts = [
    ...section("New, and unknown to CliFrame", unknown(after, (kind, field) => !old(kind, field))),
    ...section("Frame kinds", told(changes.kinds)),
    ...section("Fields", each(changes.fields)),
    ...section("How runs end", told(changes.runs)),
    ...section("Flags", told(changes.flags)),
    ...section("Flags that no help lists", told(changes.hiddenFlags)),
    ...section("Control requests that were asked", told(changes.requests)),
    ...section("Answers to control requests", each(changes.answers)),
    ...section("Control requests that the executable names", told(changes.declaredRequests)),
    ...section("Subtypes of `system` that the executable names", told(changes.declaredSystem)),
    ...section("Environment variables that the executable names", told(changes.environment))
  ]
  return [
    `## claude ${after.version}, compared with ${before.version}`,
    "",
    ...parts.length === 0 ? ["Nothing has changed.", ""] : parts
  ].join("\n")
}

/** What a version has, where there is none to compare it with. */
export const firstReport = (shape: Shape): string =>
  [`## claude ${shape.version}`, "", ...section("Unknown to CliFrame", unknown(shape))].join("\n")

const answers = ({ requests }: Shape): number =>
  Object.values(requests).filter((says) => typeof says !== "string").length

const counts: ReadonlyArray<readonly [string, (shape: Shape) => number, (changes: Changes) => Change]> = [
  ["frame kinds", ({ frames }) => Object.keys(frames).length, ({ kinds }) => kinds],
  [
    "fields in them",
    ({ frames }) => Object.values(frames).reduce((sum, fields) => sum + Object.keys(fields).length, 0),
    ({ fields }) => ({
      added: Object.values(fields).flatMap(({ added }) => added),
      gone: Object.values(fields).flatMap(({ gone }) => gone),
      changed: Object.values(fields).flatMap(({ changed }) => changed)
    })
  ],
  ["runs, by how they end", ({ runs }) => Object.keys(runs).length, ({ runs }) => runs],
  ["flags in the help", ({ flags }) => Object.values(flags).flat().length, ({ flags }) => flags],
  ["other flags", ({ hiddenFlags }) => hiddenFlags.length, ({ hiddenFlags }) => hiddenFlags],
  ["requests answered", answers, ({ requests }) => requests],
  ["requests named", ({ declared }) => declared.requests.length, ({ declaredRequests }) => declaredRequests],
  ["`system` subtypes named", ({ declared }) => declared.system.length, ({ declaredSystem }) => declaredSystem],
  ["variables named", ({ environment }) => environment.length, ({ environment }) => environment]
]

const delta = (change: Change): string => {
  const { added, changed, gone } = change
  if (isEmpty(change)) return ""
  const parts = [`+${added.length}`, `−${gone.length}`, ...changed.length === 0 ? [] : [`~${changed.length}`]]
  return ` (${parts.join(" ")})`
}

/** One row for each figure, one column for each version; in brackets what is new, gone and changed since the one before. */
export const summaryOf = (shapes: ReadonlyArray<Shape>): string => {
  const changes = shapes.map((shape, index) => {
    const before = shapes[index - 1]
    return before === undefined ? undefined : changesBetween(before, shape)
  })
  const row = (cells: ReadonlyArray<string>): string => `| ${cells.join(" | ")} |`
  return [
    row(["", ...shapes.map(({ version }) => version)]),
    row(["---", ...shapes.map(() => "---")]),
    ...counts.map(([title, count, changed]) =>
      row([
        title,
        ...shapes.map((shape, index) => {
          const since = changes[index]
          return `${count(shape)}${since === undefined ? "" : delta(changed(since))}`
        })
      ])
    )
  ].join("\n")
}
