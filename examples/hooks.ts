// What a program does at points of the CLI's loop: sees every tool, stops one, and tells the model more.
import { createClient, HookOutput } from "ccflow"

await using client = createClient({
  allowedTools: ["Bash"],
  hooks: {
    UserPromptSubmit: [{ handler: () => HookOutput.addContext("The release is on Friday.") }],
    PreToolUse: [{
      matcher: "Bash",
      handler: ({ toolInput }) => {
        const command = JSON.stringify(toolInput)
        return command.includes("push") ? HookOutput.deny("Nobody pushes on a Thursday.") : undefined
      }
    }],
    // A handler that fails keeps a tool from running; here, after it, the CLI goes on.
    PostToolUse: [{ handler: ({ toolName }) => console.log(`${toolName} has run`) }]
  }
})

const run = client.query("Release it")
for await (const message of run) {
  if (message._tag === "ToolResult" && message.isError) console.log(String(message.content))
}
console.log((await run.result).result)
