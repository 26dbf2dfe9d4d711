export type Path = ReadonlyArray<string>

/** Where the fields of a value are, at any depth. */
export const pathsOf = (value: unknown, path: Path = []): ReadonlyArray<Path> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, held]) => [[...path, key], ...pathsOf(held, [...path, key])])
    : []

export const without = Symbol("without")

/** The value with what stands at a path replaced, or taken out. */
export const replaced = (value: unknown, [key, ...path]: Path, by: unknown): unknown => {
  if (key === undefined || typeof value !== "object" || value === null) return by
  if (Array.isArray(value)) {
    const held = replaced(value[Number(key)], path, by)
    return held === without ? value.toSpliced(Number(key), 1) : value.with(Number(key), held)
  }
  const held = replaced(Reflect.get(value, key), path, by)
  const copy: Record<string, unknown> = { ...value }
  if (held === without) delete copy[key]
  else copy[key] = held
  return copy
}
