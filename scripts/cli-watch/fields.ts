/** What JSON values look like: each path with the types seen there. */
import { isRecord } from "effect/Predicate"

/** By path: the types, and `?` where it is not in all of what could hold it. Sorted. */
export type Fields = Readonly<Record<string, string>>

/** What the caller or the model has filled in: its fields say nothing about the CLI. */
const opaque: ReadonlySet<string> = new Set(["input", "tool_input", "structured_output", "updatedInput", "arguments"])

/** Their keys are data, even where they look like names: of agents. */
const keyed: ReadonlySet<string> = new Set(["by_type"])

const isName = (key: string): boolean => /^[A-Za-z_$][\w$]*$/.test(key)

interface Node {
  readonly types: Set<string>
  /** How often it was there, and how often as an object: what could hold its fields. */
  seen: number
  objects: number
  readonly fields: Map<string, Node>
  readonly items: Map<string, Node>
}

const node = (): Node => ({ types: new Set(), seen: 0, objects: 0, fields: new Map(), items: new Map() })

const at = (nodes: Map<string, Node>, key: string): Node => {
  const found = nodes.get(key) ?? node()
  nodes.set(key, found)
  return found
}

const typeOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "array" : typeof value

/** Items that name their type, as content blocks do, are told apart by it. */
const itemKey = (item: unknown): string => {
  const type = isRecord(item) ? item["type"] : undefined
  return typeof type === "string" && isName(type) ? type : ""
}

const add = (into: Node, value: unknown, name: string): void => {
  into.seen += 1
  into.types.add(typeOf(value))
  if (opaque.has(name)) return
  if (Array.isArray(value)) {
    for (const item of value) add(at(into.items, itemKey(item)), item, "")
  } else if (isRecord(value)) {
    into.objects += 1
    // A key that is no name is a datum, such as a model or a path; however many there are, it is one field.
    const isField = (key: string) => isName(key) && !keyed.has(name)
    const entries = Object.entries(value)
    for (const [key, field] of entries) if (isField(key)) add(at(into.fields, key), field, key)
    entries.filter(([key]) => !isField(key)).forEach(([, field], index) => {
      const any = at(into.fields, "*")
      add(any, field, "")
      if (index > 0) any.seen -= 1
    })
  }
}

const flatten = (from: Node, path: string, out: Array<readonly [string, string]>): void => {
  for (const [key, field] of from.fields) {
    const own = path === "" ? key : `${path}.${key}`
    out.push([own, `${[...field.types].sort().join("|")}${field.seen < from.objects ? "?" : ""}`])
    flatten(field, own, out)
  }
  for (const [key, item] of from.items) {
    const own = `${path}[${key}]`
    out.push([own, [...item.types].sort().join("|")])
    flatten(item, own, out)
  }
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => a < b ? -1 : a > b ? 1 : 0

/** The same record with its keys in order, so that a file of it changes only where it does. */
export const sorted = <A>(record: Readonly<Record<string, A>>): Readonly<Record<string, A>> =>
  Object.fromEntries(Object.entries(record).sort(byName))

/** What all these values have in common, and what only some of them have. Their order does not matter. */
export const fieldsOf = (values: Iterable<unknown>): Fields => {
  const root = node()
  for (const value of values) add(root, value, "")
  const out: Array<readonly [string, string]> = []
  flatten(root, "", out)
  return sorted(Object.fromEntries(out))
}

/** Those of the paths that lie below no other one. */
export const outermost = (paths: ReadonlyArray<string>): ReadonlyArray<string> =>
  paths.filter((path) => !paths.some((other) => isBelow(path, other)))

/** Whether a path leads on from another one. */
export const isBelow = (path: string, other: string): boolean =>
  path.startsWith(`${other}.`) || path.startsWith(`${other}[`)
