/**
 * Log lines: structured, on stderr, with the call, the session and the trace that they belong to, and without secrets.
 * What an Effect program logs itself becomes such lines, too.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import type { InvalidOptionsError } from "./ClaudeError.js"
import { type Event, Events } from "./Events.js"
import { lineOf, typesAt } from "./internal/eventLines.js"
import { correlated, traceIdOf } from "./internal/logOptions.js"
import { oneOf } from "./internal/variable.js"
import { isSecretName, redactor } from "./Redaction.js"

/** `warning`: what a call waits for, and what is tried again. `info`: how each call ended. `debug`: what it does. */
export type Level = "none" | "error" | "warning" | "info" | "debug" | "trace"

export type Format = "logfmt" | "json"

export interface LogOptions {
  /** Default: `warning`. */
  readonly level?: Level | undefined
  /** Default: `logfmt`. */
  readonly format?: Format | undefined
  /** Values that no line may have, beside what looks like a secret. Those below 6 characters are in too many words. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

/** The values of the variables that are called keys, tokens, secrets or passwords: for `secrets`. */
export const secretsOf = (env: Readonly<Record<string, string | undefined>>): ReadonlyArray<string> =>
  Object.entries(env).flatMap(([name, value]) => value !== undefined && isSecretName(name) ? [value] : [])

/** What the environment says: `CCFLOW_LOG_LEVEL` and `CCFLOW_LOG_FORMAT`, in either case. An empty one says nothing. */
export const fromEnvironment: Effect.Effect<LogOptions, InvalidOptionsError> = Effect.all({
  level: Effect.suspend(() => oneOf("CCFLOW_LOG_LEVEL", Struct.keys(levels))),
  format: oneOf<Format>("CCFLOW_LOG_FORMAT", ["logfmt", "json"])
})

/** Lines as text, for those who write them elsewhere. */
export const make = ({ format, secrets }: Omit<LogOptions, "level"> = {}): Logger.Logger<unknown, string> => {
  const redact = redactor(secrets)
  const line = format === "json" ? Logger.jsonLogger : Logger.logfmtLogger
  return line.pipe(Logger.mapInputOptions(correlated), Logger.map((text) => redact(text).replace(controls, escaped)))
}

/** Lines on stderr in place of Effect's own on stdout. */
export const layer = ({ level, ...options }: LogOptions = {}): Layer.Layer<never> =>
  layerWith(Logger.withConsoleError(make(options)), level)

/** Lines by a logger of one's own. Default: from `warning` on. */
export const layerWith = (logger: Logger.Logger<unknown, unknown>, level: Level = "warning"): Layer.Layer<never> =>
  // One within the other: what two layers beside each other have changed stays changed when they are gone.
  Layer.provideMerge(Logger.minimumLogLevel(levels[level]), Logger.replace(Logger.defaultLogger, logger))

/** As the environment says, and these options where it says nothing. */
export const layerConfig = (options: LogOptions = {}): Layer.Layer<never, InvalidOptionsError> =>
  Layer.unwrapEffect(Effect.map(
    fromEnvironment,
    ({ format = options.format, level = options.level }) => layer({ ...options, format, level })
  ))

/**
 * A line for each event that the level lets through, by the loggers of whoever it happens to. A call's lines have its
 * `callId`, its `sessionId` as soon as it is known, and its `traceId`: that of the trace, else one made of the call's id.
 */
export const layerEvents: Layer.Layer<never, never, Events> = Layer.scopedDiscard(Effect.gen(function*() {
  const events = yield* Events
  const refs = yield* Effect.getFiberRefs
  const types = typesAt(FiberRefs.getOrDefault(refs, FiberRef.currentMinimumLogLevel))
  if (types.length > 0) yield* events.observe((event) => write(event, refs), types)
}))

// ---------------------------------------------------------------------------

const levels: Readonly<Record<Level, LogLevel.LogLevel>> = {
  none: LogLevel.None,
  error: LogLevel.Error,
  warning: LogLevel.Warning,
  info: LogLevel.Info,
  debug: LogLevel.Debug,
  trace: LogLevel.Trace
}

/** As `Effect.log` where it happens, which is in no fiber where a program's own code has called. */
const write = (event: Event, otherwise: FiberRefs.FiberRefs): void => {
  const line = lineOf(event)
  if (line === undefined) return
  const fiber = Option.getOrUndefined(Fiber.getCurrentFiber())
  const context = fiber?.getFiberRefs() ?? otherwise
  const get = <A>(ref: FiberRef.FiberRef<A>) => FiberRefs.getOrDefault(context, ref)
  const { fields, level: logLevel, text: message } = line
  if (LogLevel.lessThan(logLevel, get(FiberRef.currentMinimumLogLevel))) return
  const { callId, sessionId, traceId = traceIdOf(callId) } = event
  const said = Object.entries({ ...fields, callId, sessionId, traceId }).filter(([, value]) =>
    value !== undefined && value !== ""
  )
  const annotations = HashMap.union(get(FiberRef.currentLogAnnotations), HashMap.fromIterable(said))
  for (const logger of get(FiberRef.currentLoggers)) {
    logger.log({
      annotations,
      cause: Cause.empty,
      context,
      date: new Date(event.at),
      fiberId: fiber?.id() ?? FiberId.none,
      logLevel,
      message,
      spans: get(FiberRef.currentLogSpan)
    })
  }
}

/** What would steer a terminal. */
const controls = /[\u0000-\u001f\u007f-\u009f]/g
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
