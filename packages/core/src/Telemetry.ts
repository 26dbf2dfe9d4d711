/**
 * What traces of Claude's work look like, and where they go.
 *
 * Every query and turn makes spans with whatever tracer the program provides: `claude.query` or `claude.turn` for the
 * call, below it a `claude.attempt` for each try, below that a `claude.tool` for each tool, those of a subagent below the
 * tool that started it. They say what `Attribute` names; tokens and cost are said once, by the call, so that sums over
 * spans are right. The CLI is given the attempt's W3C context: its own spans and log lines, where they are switched on,
 * join the trace. 2.1.330 and 2.1.197 were both seen to do so.
 */
import * as Layer from "effect/Layer"
import { CurrentContent } from "./internal/spanNames.js"

export { Attribute, CurrentContent, Span, SpanEvent } from "./internal/spanNames.js"

/** Prompts, answers, tools' inputs and what they gave become attributes of all that runs with this layer. */
export const layerContent: Layer.Layer<never> = Layer.succeed(CurrentContent, true)
