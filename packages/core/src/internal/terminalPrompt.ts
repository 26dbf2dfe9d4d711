import * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Decision, Handler, PermissionRequest, PermissionUpdate, Question } from "../Permissions.js"
import * as UserQuestions from "./userQuestions.js"

/** A handler that asks at the terminal; questions wait for each other. */
export const make: Effect.Effect<Handler, never, Terminal.Terminal> = Effect.gen(function*() {
  const terminal = yield* Terminal.Terminal
  const turns = yield* Effect.makeSemaphore(1)
  return (request) =>
    Effect.if(terminal.isTTY, {
      onFalse: () => Effect.succeed(denied("Nobody sits at a terminal to be asked.")),
      onTrue: () =>
        turns.withPermits(1)(Effect.scoped(Effect.gen(function*() {
          const pressed = yield* terminal.readInput
          const key = Effect.map(pressed.take, ({ input, key }) => key.name === "return" ? enter : letter(input))
          const asked: Asked = { display: terminal.display, key }
          const questions = UserQuestions.asked(request)
          return yield* (questions.length === 0 ? decide(asked, request) : interview(asked, request, questions))
        }))).pipe(
          // The mailbox ends when the user leaves, by Ctrl-C or Ctrl-D.
          Effect.catchTag(
            "NoSuchElementException",
            () => Effect.succeed<Decision>({ ...denied("The user left."), interrupt: true })
          )
        )
    })
})

// ---------------------------------------------------------------------------

interface Asked {
  readonly display: Terminal.Terminal["display"]
  readonly key: Effect.Effect<string, NoKey>
}

type NoKey = Effect.Effect.Error<Effect.Effect.Success<Terminal.Terminal["readInput"]>["take"]>

const enter = "\n"

const allowed = (options: Omit<Extract<Decision, { readonly _tag: "Allow" }>, "_tag">): Decision => ({
  _tag: "Allow",
  ...options
})

const denied = (message: string): Extract<Decision, { readonly _tag: "Deny" }> => ({ _tag: "Deny", message })

const letter = (input: Option.Option<string>): string => Option.getOrElse(input, () => "").toLowerCase()

/** Waits for one of these keys. */
const oneOf = <A>(asked: Asked, answers: ReadonlyMap<string, A>): Effect.Effect<A, NoKey> =>
  Effect.flatMap(asked.key, (pressed) => {
    const answer = answers.get(pressed)
    return answer === undefined ? oneOf(asked, answers) : Effect.succeed(answer)
  })

const decide = (asked: Asked, request: PermissionRequest) =>
  Effect.gen(function*() {
    const rules = remembered(request)
    const from = request.agentId === undefined ? "" : ` (subagent ${visible(request.agentId)})`
    const lines = [
      `Claude wants to use ${visible(request.tool)}${from}:`,
      ...Object.entries(request.input).map(([name, value]) => `  ${visible(name)}: ${shown(value)}`),
      ...(request.reason === undefined ? [] : [`  ${visible(request.reason)}`]),
      `Allow? [y]es${rules.length === 0 ? "" : ", [a]lways in this session"}, [n]o `
    ]
    yield* asked.display(lines.join("\n"))
    const answers = new Map([["y", "yes"], ["n", "no"]])
    if (rules.length > 0) answers.set("a", "always")
    const answer = yield* oneOf(asked, answers)
    yield* asked.display(`${answer}\n`)
    return answer === "no" ? denied("The user said no.") : allowed(answer === "always" ? { rules } : {})
  })

/** For the session alone: what is written to a settings file should not come from one key. */
const remembered = (request: PermissionRequest): ReadonlyArray<PermissionUpdate> =>
  request.suggestions
    .filter(({ behavior, type }) => type === "addRules" && behavior === "allow")
    .map((rule) => ({ ...rule, destination: "session" }))

const interview = (asked: Asked, { input }: PermissionRequest, questions: ReadonlyArray<Question>) =>
  Effect.gen(function*() {
    const answers = new Map<string, ReadonlyArray<string>>()
    for (const question of questions) answers.set(question.question, yield* choose(asked, question))
    return allowed({ input: UserQuestions.answered(input, Object.fromEntries(answers)) })
  })

/** One digit; or digits one after the other, and then the return key. */
const choose = (asked: Asked, { multiSelect, options, question }: Question) =>
  Effect.gen(function*() {
    const keys = new Map(options.map(({ label }, index) => [`${index + 1}`, label]))
    const lines = [
      visible(question),
      ...options.map(({ description, label }, index) => `  ${index + 1}. ${visible(label)}: ${visible(description)}`),
      multiSelect ? "Choose by number, then press return: " : "Choose by number: "
    ]
    yield* asked.display(lines.join("\n"))
    const chosen: Array<string> = []
    for (;;) {
      const label = yield* oneOf(asked, multiSelect ? new Map([...keys, [enter, enter]]) : keys)
      if (label === enter) break
      if (!chosen.includes(label)) {
        chosen.push(label)
        yield* asked.display(`${visible(label)} `)
      }
      if (!multiSelect) break
    }
    yield* asked.display("\n")
    return chosen
  })

const shown = (value: unknown): string => {
  const text = visible(typeof value === "string" ? value : JSON.stringify(value) ?? "")
  return text.length <= widest ? text : `${text.slice(0, widest)}… (${text.length - widest} more characters)`
}

const widest = 2000

/** Text that a terminal only shows: what could steer it, or hide or turn around what is read, is written out. */
const visible = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  )
