import { decode, merge, QueryOptions } from "@ccflow/core/AgentOptions"
import type { ClaudeError } from "@ccflow/core/ClaudeError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ParseResult from "effect/ParseResult"
import { isReadonlyRecord } from "effect/Predicate"
import * as Schema from "effect/Schema"
import { optionFields } from "../HttpServiceApi.js"
import { invalid, ServiceError } from "./serveErrors.js"

/** What requests may ask for. */
export interface Rules {
  /** What holds where a request says nothing, and no request may widen. */
  readonly defaults: QueryOptions
  /** Options beyond the usual ones that the operator allows. */
  readonly allow: ReadonlySet<string>
  /** Milliseconds that a request may take. */
  readonly timeLimit: number
}

/** Whether this can be given to `allow`. */
export const isGuarded = (name: string): boolean =>
  name === "permissionMode" || (Object.hasOwn(QueryOptions.fields, name) && !Object.hasOwn(optionFields, name))

/** A body that was checked: what the endpoint itself takes, and the options of the query. */
export interface Asked<A> {
  readonly body: A
  readonly options: QueryOptions
}

/** Checks a body against its schema. What the schema has not is unknown, or an option that the operator must allow. */
export const read = <A extends object, I>(
  rules: Rules,
  schema: Schema.Schema<A, I> & { readonly fields: Schema.Struct.Fields },
  given: unknown,
  path = ""
): Effect.Effect<Asked<A>, ServiceError | ClaudeError> =>
  Effect.gen(function*() {
    if (!isReadonlyRecord(given)) return yield* invalid(path === "" ? "body" : path, "it must be an object")
    const usual: Record<string, unknown> = {}
    const extra: Record<string, unknown> = {}
    const takesOptions = Object.hasOwn(schema.fields, "model")
    for (const [name, value] of Object.entries(given)) {
      if (Object.hasOwn(schema.fields, name)) usual[name] = value
      else if (!takesOptions || !isGuarded(name)) return yield* invalid(`${path}${name}`, "there is no such field")
      else if (rules.allow.has(name)) extra[name] = value
      else return yield* refused(name)
    }
    const body = yield* checked(schema, usual, path)
    const options = Object.fromEntries(Object.entries(body).filter(([name]) => Object.hasOwn(optionFields, name)))
    return { body, options: takesOptions ? yield* within(rules, merge(options, extra)) : {} }
  })

/** Checks a value that holds no options. */
export const checked = <A, I, R>(
  schema: Schema.Schema<A, I, R>,
  given: unknown,
  path = ""
): Effect.Effect<A, ServiceError, R> =>
  Effect.mapError(
    Schema.decodeUnknown(schema, { onExcessProperty: "error" })(given),
    ({ issue }) => complaint(ParseResult.ArrayFormatter.formatIssueSync(issue), path)
  )

/** The first thing that is wrong with a request, without what it said: that may be secret. */
export const complaint = (
  issues: ReadonlyArray<{ readonly path: ReadonlyArray<PropertyKey>; readonly message: string }>,
  path = ""
): ServiceError => {
  const longest = issues.reduce((one, other) => other.path.length > one.path.length ? other : one, issues[0] ?? none)
  const detail = longest.message.replace(/,? ?actual [\s\S]*$/, "")
  return invalid(
    `${path}${longest.path.map(String).join(".")}`,
    /^[\x20-\x7e]{1,200}$/.test(detail) ? detail : "is wrong"
  )
}

/** Options that a record holds must be allowed now, too: the rules may have been others when it was made. */
export const stillAllowed = ({ allow, defaults }: Rules, recorded: Readonly<Record<string, unknown>>) => {
  const now: Readonly<Record<string, unknown>> = { ...defaults }
  const changed = Object.entries(recorded).find(([name, value]) =>
    name === "permissionMode"
      ? !allow.has(name) && typeof value === "string" && !modesUnder(defaults.permissionMode).includes(value)
      : isGuarded(name) && !allow.has(name) && JSON.stringify(value) !== JSON.stringify(now[name])
  )
  return changed === undefined ? Effect.void : new ServiceError({
    type: "OptionRefused",
    message: `The session was made with another ${changed[0]} than the service has now`,
    hint: `Begin a new session, or let the operator allow it: --allow ${changed[0]}.`
  })
}

// ---------------------------------------------------------------------------

const none = { path: [], message: "it is wrong" }

const refused = (name: string) =>
  new ServiceError({
    type: "OptionRefused",
    message: `The option ${name} is not for requests`,
    hint: `Leave it out, or let the operator allow it: --allow ${name}.`
  })

/** Narrowest first. `dontAsk` and `default` are one here: nobody is there to be asked. */
const modesUnder = (mode: QueryOptions["permissionMode"]): ReadonlyArray<string> =>
  mode === "plan" ? ["plan"] : ["plan", "dontAsk", "default", ...mode === undefined ? [] : [mode]]

/** What the operator has limited stays so. */
const within = ({ allow, defaults, timeLimit }: Rules, given: QueryOptions) =>
  Effect.gen(function*() {
    const options = yield* decode(given)
    const { permissionMode } = options
    if (
      permissionMode !== undefined && !allow.has("permissionMode") &&
      !modesUnder(defaults.permissionMode).includes(permissionMode)
    ) return yield* refused("permissionMode")
    return merge(options, {
      maxTurns: least(options.maxTurns, defaults.maxTurns),
      maxBudgetUsd: least(options.maxBudgetUsd, defaults.maxBudgetUsd),
      disallowedTools: options.disallowedTools === undefined
        ? undefined
        : [...new Set([...defaults.disallowedTools ?? [], ...options.disallowedTools])],
      timeout: Math.min(Duration.toMillis(options.timeout ?? Infinity), timeLimit)
    })
  })

const least = (one: number | undefined, other: number | undefined): number | undefined =>
  one === undefined ? other : other === undefined ? one : Math.min(one, other)
