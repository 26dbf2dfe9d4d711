// What is kept of a conversation between processes: one file a session in the script's folder `memory`, a line a fact.
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { attempt } from "./output.mjs"
import { script } from "./state.mjs"

/** The prompts and their uuids that the conversation had before, and what they cost. */
export const memory = { prompts: 0, uuids: new Set(), spent: [] }

const fileOf = (session) => join(script.memory, `${session}.ndjson`)

/** Adds a fact. A line that a crash has cut short is not read again. */
export const keep = (session, fact) => script.memory && appendFileSync(fileOf(session), `${JSON.stringify(fact)}\n`)

/** Whether there is a conversation of this id, as far as is known. */
export const exists = (session) => !script.memory || existsSync(fileOf(session))

export const recall = ({ id, resumed }) => {
  if (!script.memory) return
  mkdirSync(script.memory, { recursive: true })
  if (resumed === undefined || !exists(resumed)) return
  if (resumed !== id) copyFileSync(fileOf(resumed), fileOf(id))
  const lines = readFileSync(fileOf(resumed), "utf8").split("\n")
  for (const { uuid, prompts = 0, spent } of lines.flatMap((line) => attempt(() => [JSON.parse(line)], () => []))) {
    memory.prompts += prompts
    if (uuid) memory.uuids.add(uuid)
    if (spent) memory.spent.push(spent)
  }
}
