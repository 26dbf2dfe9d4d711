import type { Message } from "@ccflow/core/Message"
import { assert, describe, it } from "@effect/vitest"
import { Array as Arr, FastCheck as fc } from "effect"
import { Attribution } from "../src/internal/attribution.js"
import { type Call, conversation, type Happened } from "./conversations.js"
import * as f from "./frames.js"

interface Told {
  readonly turns: Record<string, ReadonlyArray<Message>>
  readonly background: ReadonlyArray<Message>
  /** The turns, in the order in which they ended. */
  readonly ended: ReadonlyArray<string>
}

/** Hands the lines over as they come, cut anywhere between two things that the program does. */
const attribute = (happened: ReadonlyArray<Happened>, cuts: ReadonlyArray<number>): Told => {
  const attribution = new Attribution()
  const parser = f.parser()
  const turns: Record<string, Array<Message>> = {}
  const background: Array<Message> = []
  const ended: Array<string> = []
  let current = "none"

  const read = (lines: ReadonlyArray<f.Frame>) => {
    const all = f.bytes(lines)
    const at = [...new Set([0, ...cuts.map((cut) => cut % (all.length + 1)), all.length])].sort((a, b) => a - b)
    at.slice(1).forEach((to, index) => {
      const told = attribution.take(parser.push([all.slice(at[index], to)]))
      if (told.turn.length > 0) (turns[current] ??= []).push(...told.turn)
      background.push(...told.background)
      if (!told.ended) return
      ended.push(current)
      current = "none"
    })
  }

  let lines: Array<f.Frame> = []
  for (const one of happened) {
    if (one._tag === "line") {
      lines.push(one.frame)
      continue
    }
    read(lines)
    lines = []
    obey(attribution, one)
    if (one._tag === "begin") current = one.turn
  }
  read(lines)
  return { turns, background, ended }
}

const obey = (attribution: Attribution, { _tag, uuid }: Call): void => {
  if (_tag === "begin") attribution.begin(uuid)
  else if (_tag === "steer") assert.isTrue(attribution.steer(uuid))
  else attribution.withdraw(uuid)
}

/** What each message is labelled to be, in the order of the CLI. */
const labelled = (happened: ReadonlyArray<Happened>): ReadonlyArray<readonly [owner: string, message: Message]> => {
  const parser = f.parser()
  return happened.flatMap((one) => {
    if (one._tag !== "line") return []
    return parser.push([f.bytes([one.frame])]).map((message): readonly [string, Message] => {
      const [owner = ""] = (message.uuid ?? "").split(":")
      // A whole message is told when the next one comes, which can be after the turn.
      const late = message.parentToolUseId !== undefined && owner !== one.during
      return [one.owner === "nobody" ? "nobody" : late ? "background" : owner, message]
    })
  })
}

const inThreads = (messages: ReadonlyArray<Message>) =>
  Arr.groupBy(messages, (message) => message._tag === "Task" ? "tasks" : message.parentToolUseId ?? "main")

describe("however output is cut, and whatever the CLI does beside", () => {
  const cuts = fc.array(fc.nat(100_000), { maxLength: 12 })

  it("each turn has exactly its own messages, in order, and ends once; the rest is in the background", () => {
    fc.assert(
      fc.property(conversation, cuts, ({ happened, version }, cuts) => {
        const told = attribute(happened, cuts)
        const expected = labelled(happened).filter(([owner]) => owner !== "nobody")
        const of = (owner: string) => expected.filter(([its]) => its === owner).map(([, message]) => message)
        const names = happened.flatMap((one) => one._tag === "begin" ? [one.turn] : [])
        assert.deepStrictEqual(told.ended, names)
        assert.deepStrictEqual(Object.keys(told.turns).sort(), [...names].sort())
        for (const name of names) {
          const [has, wants] = [told.turns[name] ?? [], of(name)]
          // 2.1.197 lets some of it be known only later, while subagents and tasks go on.
          if (version === "2.1.330") assert.deepStrictEqual(has, wants)
          else assert.deepStrictEqual(inThreads(has), inThreads(wants))
        }
        assert.deepStrictEqual(inThreads(told.background), inThreads(of("background")))
      }),
      { numRuns: 1500 }
    )
  }, 60_000)
})
