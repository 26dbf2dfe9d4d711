import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { PermissionRequest, Question } from "../Permissions.js"

const Questions = Schema.Struct({
  questions: Schema.Array(Schema.Struct({
    question: Schema.String,
    header: Schema.optionalWith(Schema.String, { default: () => "" }),
    options: Schema.Array(Schema.Struct({
      label: Schema.String,
      description: Schema.optionalWith(Schema.String, { default: () => "" })
    })),
    multiSelect: Schema.optionalWith(Schema.Boolean, { default: () => false })
  }))
})

const decode = Schema.decodeUnknownOption(Questions)

/** None where the tool is another, or its input is not what we know. */
export const asked = ({ input, tool }: PermissionRequest): ReadonlyArray<Question> =>
  tool === "AskUserQuestion"
    ? Option.match(decode(input), { onNone: () => [], onSome: ({ questions }) => questions })
    : []

/** The tool's input with the answers in it: that is how it takes them. */
export const answered = (
  input: Readonly<Record<string, unknown>>,
  answers: Readonly<Record<string, string | ReadonlyArray<string>>>
): Readonly<Record<string, unknown>> => ({
  ...input,
  answers: Object.fromEntries(
    Object.entries(answers).map(([question, given]) => [question, typeof given === "string" ? given : given.join(", ")])
  )
})
