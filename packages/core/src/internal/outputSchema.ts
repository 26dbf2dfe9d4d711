import * as JSONSchema from "effect/JSONSchema"
import * as Schema from "effect/Schema"

/** What an answer can be asked to look like. */
export type OutputSchema = Schema.Schema.AnyNoContext | { readonly [key: string]: unknown }

/** JSON Schema of an `outputSchema`, with its root inlined: the API takes an object and no reference there. */
export const toJsonSchema = (schema: OutputSchema): Readonly<Record<string, unknown>> => {
  if (!Schema.isSchema(schema)) return schema
  const { $defs, $schema: _, ...made } = JSONSchema.make(schema)
  const root = "$ref" in made ? $defs?.[nameOf(made.$ref)] : made
  return { ...root, ...($defs === undefined ? {} : { $defs }) }
}

/** `/` and `~` are escaped in a JSON pointer. */
const nameOf = (pointer: string): string => pointer.slice("#/$defs/".length).replaceAll("~1", "/").replaceAll("~0", "~")
