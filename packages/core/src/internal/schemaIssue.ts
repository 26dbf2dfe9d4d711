import * as Option from "effect/Option"
import type * as ParseResult from "effect/ParseResult"
import * as SchemaAST from "effect/SchemaAST"

/** The one thing to say about a value that does not fit. */
export interface Complaint {
  /** From the root, joined by dots. */
  readonly field: string
  readonly detail: string
}

/**
 * Where a value does not fit its schema, and what would. It never shows the value: that may be a prompt or a secret.
 */
export const complaintOf = (error: ParseResult.ParseError): Complaint => {
  const { path, problem, wanted } = leaf(error.issue, [])
  return { field: path.join("."), detail: problem ?? `it must be ${[...new Set(wanted)].join(" or ")}` }
}

/** The same in one line. */
export const complaint = (error: ParseResult.ParseError): string => {
  const { detail, field } = complaintOf(error)
  return field === "" ? detail : `${field}: ${detail}`
}

interface Leaf {
  readonly path: ReadonlyArray<string>
  /** What would have been right: one of these. */
  readonly wanted: ReadonlyArray<string>
  /** Said in place of what is wanted. */
  readonly problem?: string
}

const leaf = (issue: ParseResult.ParseIssue, path: ReadonlyArray<string>): Leaf => {
  switch (issue._tag) {
    case "Pointer":
      return leaf(issue.issue, [...path, ...[issue.path].flat().map(String)])
    case "Composite": {
      const leaves = [issue.issues].flat().map((part) => leaf(part, path))
      return (SchemaAST.isUnion(issue.ast) ? meant(leaves) : leaves[0]) ?? { path, wanted: expected(issue.ast) }
    }
    case "Refinement":
    case "Transformation":
      return leaf(issue.issue, path)
    case "Missing":
      return { path, wanted: [], problem: "it is missing" }
    case "Unexpected":
      return { path, wanted: [], problem: "there is no such option" }
    case "Type":
    case "Forbidden":
      return issue.message === undefined
        ? { path, wanted: expected(issue.ast) }
        : { path, wanted: [], problem: `it ${issue.message}` }
  }
}

/** Of a union's members the one that the value came furthest into; where all stop at one place, all that would do. */
const meant = (leaves: ReadonlyArray<Leaf>): Leaf | undefined => {
  const depth = Math.max(...leaves.map(({ path }) => path.length))
  const furthest = leaves.filter(({ path }) => path.length === depth)
  const problem = furthest.find((found) => found.problem !== undefined)
  const [first] = furthest
  return problem ?? (first && { path: first.path, wanted: furthest.flatMap(({ wanted }) => wanted) })
}

const expected = (ast: SchemaAST.AST): ReadonlyArray<string> => {
  const described = SchemaAST.getDescriptionAnnotation(ast)
  if (Option.isSome(described)) return [described.value]
  if (SchemaAST.isUnion(ast)) return ast.types.flatMap(expected)
  if (SchemaAST.isRefinement(ast)) return expected(ast.from)
  if (SchemaAST.isUndefinedKeyword(ast)) return []
  if (SchemaAST.isTypeLiteral(ast)) return ["an object"]
  if (SchemaAST.isTupleType(ast)) return ["a list"]
  return [String(ast)]
}
