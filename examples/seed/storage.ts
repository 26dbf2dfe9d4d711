// Conversations in a file: what is said is there when the program is gone. Needs the package better-sqlite3.
import { createClient } from "ccflow"

const storagePath = process.argv[2] ?? "ccflow.db"

{
  await using client = createClient({ storagePath })
  const session = client.session({ tags: ["seed"] })
  await session.sendMessage("My name is Ada.").result
}

await using client = createClient({ storagePath })
const { sessions } = await client.sessions.list({ tags: ["seed"] })
for (const { sessionId, status, title, turnCount } of sessions) {
  console.log(`${title}: ${turnCount} turn, ${status}`)
  console.log((await client.sessions.resume(sessionId).sendMessage("What is my name?").result).result)
  console.log(await client.sessions.delete(sessionId))
}
