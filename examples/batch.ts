// Many prompts, a few at a time; and a pool, whose tasks are submitted, waited for and cancelled one by one.
import { createClient } from "ccflow"

await using client = createClient({ tools: [] })

const results = await client.batchQuery(["What is 3*4?", "What is 10-7?", "What is 9/3?"], {
  concurrency: 2,
  ordered: true,
  onProgress: ({ completed, total }) => console.log(`${completed} of ${total}`)
})
// In the order of the prompts; one failure hides no other.
for (const { error, prompt, result } of results) console.log(prompt, error?.message ?? result?.result)

const { pool } = client
const [sum, other] = await pool.map(["What is 1+2?", "What is 2*2?"])
const urgent = await pool.submit("What is 5*5?", { priority: 1 })
for (const { result } of await pool.gather(urgent, sum!, other!)) console.log(result)

const unwanted = await pool.submit("What is 8*8?")
console.log(await pool.cancel(unwanted), unwanted.status)
const { cancelled, completed, failed } = pool.stats()
console.log(`${completed} completed, ${failed} failed, ${cancelled} cancelled`)
