// What the environment decides for everything that a client does. Set here, so that it can be seen; a shell does it too.
import { createClient, InvalidOptionsError } from "ccflow"

Object.assign(process.env, {
  CCFLOW_DEFAULT_MODEL: "haiku",
  // Seconds.
  CCFLOW_DEFAULT_TIMEOUT: "120",
  CCFLOW_MAX_CONCURRENT: "4",
  CCFLOW_RATE_LIMIT_PER_MINUTE: "600",
  CCFLOW_LOG_LEVEL: "error"
})

// Read when a client is made.
await using client = createClient()
const modelOf = async (model?: string) => {
  for await (const message of client.query("Hello", { model })) if (message._tag === "Init") return message.model
}
console.log(await modelOf())
// What a call says wins.
console.log(await modelOf("opus"))

process.env["CCFLOW_DEFAULT_TIMEOUT"] = "soon"
try {
  await createClient().querySimple("Hello")
} catch (error) {
  if (error instanceof InvalidOptionsError) console.log(`${error.field}: ${error.detail}`)
}
