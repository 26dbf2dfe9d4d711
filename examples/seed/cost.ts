// What things cost: by the price list before, and by what the CLI says after.
import { calculateCost, createClient, UnknownModelError } from "ccflow"

console.log(`$${calculateCost("sonnet", { inputTokens: 1000, outputTokens: 500 })}`)
try {
  calculateCost("gpt", { inputTokens: 1 })
} catch (error) {
  if (error instanceof UnknownModelError) console.log(`nobody knows what ${error.model} costs`)
}

await using client = createClient({ model: "sonnet", maxBudgetUsd: 1 })
const { costUsd } = await client.query("What is 2+2?").result
const { byModel, totalCostUsd } = await client.usage()
console.log(costUsd > 0 && totalCostUsd === costUsd, Object.keys(byModel).length)
