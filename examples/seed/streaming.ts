// The answer as it is written: leaving the loop stops the CLI.
import { query } from "ccflow"

for await (const message of query("What is 6*7?", { includePartialMessages: true })) {
  if (message._tag === "Text") process.stdout.write(message.content)
}
process.stdout.write("\n")
