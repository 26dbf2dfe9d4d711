import type { Invocation } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type { Frame, Reply, Started } from "../FakeCli.js"
import { fieldsOf } from "./fakeTurn.js"

/** What is known of a process, as a test looks at it. @internal */
export const seenOf = ({ invocation, replies, sent, sigints, ...facts }: {
  readonly invocation: Invocation
  readonly sent: ReadonlyArray<Frame>
  readonly replies: ReadonlyArray<Reply>
  readonly sigints: number
  readonly printed: number
  readonly running: boolean
}): Started => {
  const requests = sent.flatMap((frame) => frame.type === "control_request" ? [fieldsOf(frame["request"])] : [])
  return {
    invocation,
    flags: flagsOf(invocation),
    env: invocation.env,
    prompts: sent.flatMap((frame) => frame.type === "user" ? [fieldsOf(frame["message"])["content"]] : []),
    replies: [...replies],
    requests,
    interrupts: sigints + requests.filter(({ subtype }) => subtype === "interrupt").length,
    sent: [...sent],
    ...facts
  }
}

/** @internal */
export const onlyOne = (started: ReadonlyArray<Started>): Effect.Effect<Started> => {
  const [only, ...others] = started
  if (only !== undefined && others.length === 0) return Effect.succeed(only)
  const lines = started.map(({ invocation: { args }, prompts }, index) =>
    `\n${index + 1}: ${prompts.map((prompt) => JSON.stringify(prompt)).join(", ") || "no prompt"} (${args.join(" ")})`
  )
  return Effect.dieMessage(`${started.length} fake CLIs were started, and not one${lines.join("")}`)
}

// ---------------------------------------------------------------------------
// internal
// ---------------------------------------------------------------------------

const flagsOf = ({ args, files }: Invocation): Started["flags"] => {
  const flags: Record<string, string | true | ReadonlyArray<string>> = {}
  const add = (name: string, value: string | true) => {
    const before = flags[name]
    flags[name] = before === undefined ? value : [...[before].flat().map(String), String(value)]
  }
  for (const arg of args) {
    const [, name, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(arg) ?? []
    if (name !== undefined) add(name, value ?? true)
  }
  for (const { content, flag } of files) add(flag.replace(/^--/, ""), content)
  return flags
}
