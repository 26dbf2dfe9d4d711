// Conversations that outlive the program. Needs the package better-sqlite3.
import { createClient } from "ccflow"

const storagePath = process.argv[2] ?? "sessions.db"

/** A program says something, and ends. */
const before = async () => {
  await using client = createClient({ storagePath })
  await client.session({ tags: ["example"] }).sendMessage("My name is Ada.").result
}

/** A later one finds the conversation and goes on with it. */
const later = async () => {
  await using client = createClient({ storagePath })
  const { sessions: [kept] } = await client.sessions.list({ tags: ["example"], limit: 1 })
  if (kept === undefined) return
  console.log(`${kept.title} (${kept.turnCount} turn)`)
  const session = client.sessions.resume(kept.sessionId)
  console.log((await session.sendMessage("What is my name?").result).result)

  const { turns } = await client.sessions.turns(kept.sessionId)
  for (const { index, prompt, status } of turns) console.log(`${index} ${status}: ${String(prompt)}`)
}

await before()
await later()
