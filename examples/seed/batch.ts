// Many prompts, five at a time: results in the order of the prompts, and one failure hides no other.
import { batchQuery } from "ccflow"

const results = await batchQuery(["What is 1+1?", "What is 2*3?", ""], { concurrency: 5 })
for (const { error, index, result } of results) {
  console.log(`${index}: ${result?.result ?? `failed with ${error?._tag}`}`)
}
