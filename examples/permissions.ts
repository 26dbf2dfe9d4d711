// Who decides what a tool may do: a function, asked for what no rule allows or denies.
import { allow, deny, query } from "ccflow"

const run = query("Write the report, then clean up", {
  permissions: async ({ input, tool }) => {
    const command = String(input["command"] ?? "")
    console.log(`May ${tool} run "${command}"?`)
    // The model is told why, and can do something else.
    return command.startsWith("rm ") ? deny("Nothing is deleted here.") : allow()
  }
})

for await (const message of run) {
  if (message._tag === "ToolResult") console.log(message.isError ? `denied: ${String(message.content)}` : "it ran")
}
console.log((await run.result).result)
