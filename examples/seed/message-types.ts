// What a query yields: a union that the compiler knows, told apart by `_tag`.
import { type Message, query } from "ccflow"

const line = (message: Message): string | undefined => {
  switch (message._tag) {
    case "Init":
      return `starts with ${message.tools.length} tool`
    case "Text":
      return `says ${message.content}`
    case "ToolUse":
      return `uses ${message.tool}: ${JSON.stringify(message.input)}`
    case "ToolResult":
      return `${message.tool} ${message.isError ? "failed" : "gave"} ${message.content}`
    case "Stop":
      return `stops: ${message.stopReason}`
    case "Result":
      return `has taken ${message.numTurns} turns`
    default:
      return undefined
  }
}

for await (const message of query("Which day is it?", { tools: ["Bash"], allowedTools: ["Bash(echo *)"] })) {
  const told = line(message)
  if (told !== undefined) console.log(told)
}
