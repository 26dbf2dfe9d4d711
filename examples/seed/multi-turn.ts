// A conversation: Claude remembers, a fork goes on apart, and closing it tells what it has come to.
import { Session } from "ccflow"

const session = new Session()
const ask = async (text: string, to = session) => console.log((await to.sendMessage(text).result).result)

await ask("My name is Ada.")
await ask("What is my name?")

await using branch = await session.fork()
await ask("Please tell me what my name is.", branch)

const { inputTokens, outputTokens, turns } = await session.close()
console.log(`${turns} turns, ${inputTokens + outputTokens > 0 ? "tokens counted" : "no tokens"}`)
