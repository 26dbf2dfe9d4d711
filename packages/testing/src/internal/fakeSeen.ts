import type { Invocation } from "@ccflow/core/CliProcess"
import * as Effect from "effect/Effect"
import type { Started } from "../FakeCli.js"
import { readArgs } from "./protocol/flags.mjs"
import { fieldsOf } from "./protocol/turn.mjs"

/** What is known of a process, as a test looks at it. */
export const seenOf = (
  { invocation, replies, sent, sigints, ...facts }:
    & Pick<Started, "invocation" | "printed" | "replies" | "running" | "sent">
    & { readonly sigints: number }
): Started => {
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

export const onlyOne = (started: ReadonlyArray<Started>): Effect.Effect<Started> => {
  const [only, ...others] = started
  if (only !== undefined && others.length === 0) return Effect.succeed(only)
  const lines = started.map(({ invocation: { args }, prompts }, index) =>
    `\n${index + 1}: ${prompts.map((prompt) => JSON.stringify(prompt)).join(", ") || "no prompt"} (${args.join(" ")})`
  )
  return Effect.dieMessage(`${started.length} fake CLIs were started, and not one${lines.join("")}`)
}

// ---------------------------------------------------------------------------

const flagsOf = ({ args, files }: Invocation): Started["flags"] => {
  const flags: Record<string, string | true | ReadonlyArray<string>> = {}
  const add = (name: string, value: string | true) => {
    const before = flags[name]
    flags[name] = before === undefined ? value : [...[before].flat().map(String), String(value)]
  }
  for (const { token, values } of readArgs(args).flags) add(token.replace(/^--?/, ""), values[0] ?? true)
  for (const { content, flag } of files) add(flag.replace(/^--/, ""), content)
  return flags
}
