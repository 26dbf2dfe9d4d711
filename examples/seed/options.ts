// What a query can be told: who answers, what it may do and cost, how long it may take, and what it should know.
import { PermissionMode, query } from "ccflow"

const people = ["Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Radia", "Niklaus"]

const run = query("Who is on call?", {
  model: "sonnet",
  systemPrompt: "You are the team's assistant.",
  permissionMode: PermissionMode.DEFAULT,
  tools: ["Read", "Grep"],
  allowedTools: ["Read"],
  disallowedTools: ["Bash"],
  maxTurns: 3,
  maxTokens: 4096,
  maxBudgetUsd: 0.5,
  timeout: "5 minutes",
  cwd: process.cwd(),
  // Data for the model: as TOON where that has fewer tokens than JSON.
  context: { rota: people.map((name, week) => ({ week, name, mail: `${name}@example.com`, onCall: week === 1 })) }
})
for await (const message of run) {
  if (message._tag === "Init") console.log(`${message.permissionMode}: ${message.tools.join(", ")}`)
}
const { context, result } = await run.result
console.log(result)
console.log(`as ${context?.format}, ${context?.savedTokens} tokens saved`)
