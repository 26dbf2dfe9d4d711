// Every error has a class, a `_tag` and the facts that it was decided on, and all of them are `CCFlowError`s.
import { CCFlowError, CliNotFoundError, CliTimeoutError, query, querySimple } from "ccflow"

try {
  await querySimple("Hello", { cliPath: "/nowhere/claude" })
} catch (error) {
  if (error instanceof CliNotFoundError) console.log("there is no CLI", error instanceof CCFlowError)
}

try {
  await querySimple("Hello", { timeout: 1 })
} catch (error) {
  if (error instanceof CliTimeoutError) console.log(`too late: ${error.phase}`)
}

const run = query("Hello", { model: "no-such-model" })
try {
  for await (const message of run) {
    if (message._tag === "Error") console.log(`the CLI says ${message.code}`)
  }
} catch (error) {
  if (error instanceof CCFlowError) console.log(`${error._tag}: ${error.message.split(".")[0]}`)
}

// A caller that goes away is no failure of the CLI.
await querySimple("Hello", { signal: AbortSignal.abort() }).catch((error: unknown) => {
  if (error instanceof Error) console.log(error.name)
})
