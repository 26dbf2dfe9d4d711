// Sessions in a file: what is said is there when the program is gone. Needs the package better-sqlite3.
import { MemorySessionStore, SessionManager, SQLiteSessionStore } from "ccflow"

await using store = new SQLiteSessionStore(process.argv[2] ?? "ccflow.db")

{
  await using manager = new SessionManager({ store })
  const session = await manager.createSession({ tags: ["seed"] })
  await session.sendMessage("My name is Ada.").result
}

await using manager = new SessionManager({ store })
for await (const { sessionId, status, title, turnCount } of manager.allSessions({ tags: ["seed"] })) {
  console.log(`${title}: ${turnCount} turn, ${status}`)
  const session = await manager.resumeSession(sessionId)
  console.log((await session.sendMessage("What is my name?").result).result)
  console.log(await manager.deleteSession(sessionId))
}
console.log(`${(await manager.getStats()).total} left`)

// For a test, or a program that need not remember: the same, without a file.
await using memory = new MemorySessionStore()
console.log(`${await memory.count()} in memory`)
