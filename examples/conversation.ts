// A conversation: one CLI for both messages, and the second is answered in the light of the first.
import { Session } from "ccflow"

const session = new Session()

const first = session.sendMessage("My name is Ada.")
for await (const message of first) {
  if (message._tag === "Text") process.stdout.write(message.content)
}
process.stdout.write("\n")

const { result } = await session.sendMessage("What is my name?").result
console.log(result)

const { turns } = await session.close()
console.log(`${turns} turns`)
