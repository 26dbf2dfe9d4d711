/**
 * Tools of the program for the model to use, served over the control protocol as MCP servers without a process.
 */
import * as Context from "effect/Context"

/** Tools under one name. A value: any number of sessions can serve it at once. */
export interface ToolSet<R = never> {
  readonly name: string
  readonly tools: ReadonlyArray<{ readonly name: string; readonly call: (input: unknown) => R }>
}

/** The tool sets of all queries of a fiber and its children, beside those of the call. */
export class Tools extends Context.Reference<Tools>()("@ccflow/core/Tools", {
  defaultValue: (): ReadonlyArray<ToolSet> => []
}) {}
