import type * as ParseResult from "effect/ParseResult"
import * as SchemaAST from "effect/SchemaAST"

/** The one thing to say about a value that does not fit. @internal */
export interface Complaint {
  /** From the root, joined by dots. */
  readonly field: string
  readonly detail: string
}

/**
 * Where a value does not fit its schema, and what would. It never shows the value: that may be a prompt or a secret.
 *
 * @internal
 */
export const complaintOf = (error: ParseResult.ParseError): Complaint => {
  const { detail, path } = leaf(error.issue, [])
  return { field: path.join("."), detail }
}

interface Leaf {
  readonly path: ReadonlyArray<string>
  readonly detail: string
}

const leaf = (issue: ParseResult.ParseIssue, path: ReadonlyArray<string>): Leaf => {
  switch (issue._tag) {
    case "Pointer":
      return leaf(issue.issue, [...path, ...[issue.path].flat().map(String)])
    case "Composite":
      return composite(issue, path)
    case "Refinement":
    case "Transformation":
      return leaf(issue.issue, path)
    case "Missing":
      return { path, detail: "it is missing" }
    case "Unexpected":
      return { path, detail: "there is no such option" }
    case "Type":
    case "Forbidden":
      return { path, detail: `it ${issue.message ?? `must be ${expected(issue.ast)}`}` }
  }
}

/** Of a union's members the one that the value came furthest into was meant; else all of them are named. */
const composite = (issue: ParseResult.Composite, path: ReadonlyArray<string>): Leaf => {
  const leaves = [issue.issues].flat().map((part) => leaf(part, path))
  const [first, ...rest] = leaves
  if (first === undefined) return { path, detail: `it must be ${expected(issue.ast)}` }
  if (!SchemaAST.isUnion(issue.ast)) return first
  const furthest = rest.reduce((best, next) => next.path.length > best.path.length ? next : best, first)
  if (furthest.path.length > path.length) return furthest
  const own = leaves.find(({ detail }) => !detail.startsWith("it must be "))
  return own ?? { path, detail: `it must be ${expected(issue.ast)}` }
}

const expected = (ast: SchemaAST.AST): string => {
  const named = SchemaAST.getDescriptionAnnotation(ast)
  if (named._tag === "Some") return named.value
  if (SchemaAST.isUnion(ast)) return [...new Set(ast.types.map(expected))].join(" or ")
  if (SchemaAST.isTypeLiteral(ast)) return "an object"
  if (SchemaAST.isTupleType(ast)) return "a list"
  return SchemaAST.isRefinement(ast) ? expected(ast.from) : String(ast)
}
