/** What of a shape the library's schemas of the CLI's lines know. */
import * as CliFrame from "@ccflow/core/CliFrame"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import { type Fields, outermost } from "./fields.js"

const property = (ast: AST.AST, name: string): AST.AST | undefined => {
  if (ast._tag === "Union") {
    return ast.types.map((member) => property(member, name)).find((found) => found !== undefined)
  }
  if (ast._tag !== "TypeLiteral") return undefined
  return ast.propertySignatures.find((field) => field.name === name)?.type
}

/** What the index signature of an object allows, which `Unknown` is where any field may follow. */
const anyProperty = (ast: AST.AST): AST.AST | undefined => {
  if (ast._tag === "Union") return ast.types.map(anyProperty).find((found) => found !== undefined)
  return ast._tag === "TypeLiteral" ? ast.indexSignatures[0]?.type : undefined
}

const item = (ast: AST.AST): AST.AST | undefined => {
  if (ast._tag === "Union") return ast.types.map(item).find((found) => found !== undefined)
  return ast._tag === "TupleType" ? ast.rest[0]?.type : undefined
}

const literals = (ast: AST.AST | undefined): ReadonlyArray<string> => {
  if (ast?._tag === "Union") return ast.types.flatMap(literals)
  return ast?._tag === "Literal" && typeof ast.literal === "string" ? [ast.literal] : []
}

/** The kinds that a schema is for: those of its literals. */
const kindsOf = (ast: AST.AST): ReadonlyArray<string> => {
  const event = property(ast, "event")
  const inner = literals(property(ast, "subtype")).concat(event === undefined ? [] : literals(property(event, "type")))
  return literals(property(ast, "type")).flatMap((type) =>
    inner.length === 0 ? [type] : inner.map((name) => `${type}/${name}`)
  )
}

const schemas: ReadonlyMap<string, AST.AST> = new Map([
  ...Object.values<unknown>(CliFrame).flatMap((exported) =>
    Schema.isSchema(exported) ? kindsOf(exported.ast).map((kind) => [kind, exported.ast] as const) : []
  ),
  ...Array.from(CliFrame.notices, (type) => [type, CliFrame.Notice.ast] as const),
  ...Array.from(CliFrame.systemNotices, (subtype) => [`system/${subtype}`, CliFrame.Notice.ast] as const)
])

const schemaOf = (kind: string): AST.AST | undefined => {
  const own = schemas.get(kind)
  const end = kind.lastIndexOf("/")
  return own !== undefined || end < 0 || kind.startsWith("system/") ? own : schemaOf(kind.slice(0, end))
}

/** Whether frames of this kind arrive as something else than `Unknown` or `UnknownSystem`. */
export const isKnown = (kind: string): boolean => kind === "keep_alive" || schemaOf(kind) !== undefined

const steps = (path: string): ReadonlyArray<string> => path.match(/\[\w*\]|[^.[\]]+/g) ?? []

/** Frames whose fields are handed on as they are: nothing in them waits to be typed. */
const isOpen = (kind: string): boolean => {
  const type = kind.split("/")[0] ?? ""
  return type.startsWith("control_") || schemaOf(kind) === CliFrame.Notice.ast
}

const isTyped = (root: AST.AST, path: string): boolean => {
  let ast: AST.AST | undefined = root
  for (const step of steps(path)) {
    if (ast === undefined) return false
    if (ast._tag === "UnknownKeyword" || (ast._tag === "Union" && ast.types.some(isUnknown))) return true
    ast = step.startsWith("[") ? item(ast) : property(ast, step) ?? anyProperty(ast)
  }
  return ast !== undefined
}

const isUnknown = (ast: AST.AST): boolean => ast._tag === "UnknownKeyword"

/** The fields that no schema names; not what lies below one of them. */
export const untyped = (kind: string, fields: Fields): ReadonlyArray<string> => {
  const root = schemaOf(kind)
  if (root === undefined || isOpen(kind)) return []
  return outermost(Object.keys(fields).filter((path) => !isTyped(root, path)))
}
