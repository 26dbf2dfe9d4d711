// Tools of the program's own: the model calls a function of this process.
import { allowed, Session, tool, toolSet } from "ccflow"
import { Schema } from "effect"

const prices: Readonly<Record<string, number>> = { tea: 3.5, coffee: 4 }

const shop = toolSet("shop", [
  tool({
    name: "price",
    description: "What something costs, in euros",
    input: Schema.Struct({ item: Schema.String.annotations({ description: "such as tea" }) }),
    alwaysLoad: true,
    handler: async ({ item }) => {
      const price = prices[item]
      // What is thrown is told to the model, which may try again.
      if (price === undefined) throw new Error(`There is no ${item}; there is ${Object.keys(prices).join(", ")}.`)
      return { item, price }
    }
  })
])

await using session = new Session({ toolSets: [shop], allowedTools: [...allowed(shop)] })
for await (const message of session.sendMessage("What do a tea and a cake cost?")) {
  if (message._tag === "ToolResult") console.log(message.isError ? "failed:" : "told:", JSON.stringify(message.content))
  if (message._tag === "Result") console.log(message.result)
}
