// What happens, told to listeners: a slow or failing one harms nobody.
import { createClient } from "ccflow"

await using client = createClient()
const { events } = client

events.on("ToolCalled", ({ tool }) => console.log(`uses ${tool}`))
events.on("TokensUsed", ({ totalTokens }) => console.log(totalTokens > 0 ? "has used tokens" : "has used none"))
events.on("CostIncurred", ({ costUsd }) => console.log(costUsd > 0 ? "costs money" : "costs nothing"))
const stop = events.on("TurnCompleted", ({ outcome, turnNumber }) => console.log(`turn ${turnNumber}: ${outcome}`))

const session = client.session({ allowedTools: ["Bash(echo *)"] })
await session.sendMessage("Which day is it?").result
await session.sendMessage("Thank you.").result
await session.close()
stop()

const seen = new Set<string>()
events.onAny(({ _tag }) => seen.add(_tag))
await client.querySimple("And what is 2+2?")
console.log(seen.has("QueryStarted"), seen.has("QueryEnded"))
