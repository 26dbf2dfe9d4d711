/** What has changed from one shape to the next. Pure. */
import type { Fields } from "./fields.js"
import type { Shape } from "./shape.js"

/** What was not there before, what is no longer, and what is there otherwise: `before → after`. */
export interface Change {
  readonly added: ReadonlyArray<string>
  readonly gone: ReadonlyArray<string>
  readonly changed: ReadonlyArray<string>
}

export interface Changes {
  readonly kinds: Change
  /** By kind, for those that both versions have. */
  readonly fields: Readonly<Record<string, Change>>
  readonly runs: Change
  readonly flags: Change
  readonly hiddenFlags: Change
  /** What was asked of the CLI, and whether it answers. */
  readonly requests: Change
  /** By request, for those that both versions answer. */
  readonly answers: Readonly<Record<string, Change>>
  readonly declaredRequests: Change
  readonly declaredSystem: Change
  readonly environment: Change
}

type Named = Readonly<Record<string, string>>

const between = (before: Named, after: Named): Change => ({
  added: Object.keys(after).filter((name) => !Object.hasOwn(before, name)),
  gone: Object.keys(before).filter((name) => !Object.hasOwn(after, name)),
  changed: Object.entries(after).flatMap(([name, value]) => {
    const old = Object.hasOwn(before, name) ? before[name] : value
    return old === value ? [] : [`${name}: ${old} → ${value}`]
  })
})

const names = (list: Iterable<string>): Named => Object.fromEntries(Array.from(list, (name) => [name, ""]))

export const isEmpty = ({ added, changed, gone }: Change): boolean => added.length + gone.length + changed.length === 0

const inEach = (
  before: Readonly<Record<string, Fields>>,
  after: Readonly<Record<string, Fields>>
): Readonly<Record<string, Change>> =>
  Object.fromEntries(
    Object.entries(after).flatMap(([name, fields]) => {
      const old = before[name]
      const change = old === undefined ? undefined : between(old, fields)
      return change === undefined || isEmpty(change) ? [] : [[name, change]]
    })
  )

const flags = (shape: Shape): Named =>
  names(
    Object.entries(shape.flags).flatMap(([command, list]) => [command, ...list.map((flag) => `${command} ${flag}`)])
  )

const answered = (shape: Shape): Readonly<Record<string, Fields>> =>
  Object.fromEntries(
    Object.entries(shape.requests).flatMap(([name, says]) => typeof says === "string" ? [] : [[name, says]])
  )

const says = (shape: Shape): Named =>
  Object.fromEntries(
    Object.entries(shape.requests).map(([name, answer]) => [name, typeof answer === "string" ? answer : "success"])
  )

const kinds = (shape: Shape): Named => names(Object.keys(shape.frames))

export const changesBetween = (before: Shape, after: Shape): Changes => ({
  kinds: between(kinds(before), kinds(after)),
  fields: inEach(before.frames, after.frames),
  runs: between(before.runs, after.runs),
  flags: between(flags(before), flags(after)),
  hiddenFlags: between(names(before.hiddenFlags), names(after.hiddenFlags)),
  requests: between(says(before), says(after)),
  answers: inEach(answered(before), answered(after)),
  declaredRequests: between(names(before.declared.requests), names(after.declared.requests)),
  declaredSystem: between(names(before.declared.system), names(after.declared.system)),
  environment: between(names(before.environment), names(after.environment))
})
