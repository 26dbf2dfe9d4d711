// `npm start -- "prompt"`: from a clone to an answer. With the user's own `claude` where it is logged in; else with the
// real CLI against the project's stand-in of the Messages API; else, where that cannot be fetched, with fake-claude.
import { CCFlowError, type Client, type ClientConfig, createClient } from "ccflow"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { echoBrain } from "../test/support/EchoBrain.js"
import { startMessagesApi } from "../test/support/MessagesApi.js"
import { realCli, recordedVersions, sandboxEnvironment, sandboxHome } from "../test/support/RealCli.js"

const say = (line: string) => process.stderr.write(`${line}\n`)

interface Place {
  readonly config: ClientConfig
  readonly label: string
  readonly leave: () => Promise<void>
}

const isLoggedIn = (command: string): Promise<boolean> =>
  new Promise((resolve) => {
    execFile(command, ["auth", "status"], { timeout: 10_000 }, (error) => resolve(error === null))
  })

const ownCli = async (): Promise<Place | undefined> => {
  const cliPath = process.env["CCFLOW_CLI_PATH"] ?? "claude"
  return await isLoggedIn(cliPath) ? { config: { cliPath }, label: "", leave: async () => {} } : undefined
}

/** The real CLI in a home of its own, with nothing of the host's environment and no address but the loopback one. */
const standIn = async (): Promise<Place> => {
  say("No logged-in claude found: this answers with a stand-in for the model, on this machine alone.")
  const cli = await realCli(recordedVersions[0])
  if (cli._tag === "missing") {
    say(`The real CLI cannot be fetched (${cli.reason}); going on with fake-claude.`)
    const cliPath = fileURLToPath(new URL("../packages/testing/bin/fake-claude.mjs", import.meta.url))
    return { config: { cliPath }, label: "[fake-claude] ", leave: async () => {} }
  }
  const api = await startMessagesApi(echoBrain)
  const home = await sandboxHome()
  const dropped = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]))
  return {
    label: "[stand-in] ",
    config: {
      cliPath: cli.path,
      cwd: home.project,
      env: { ...dropped, ...sandboxEnvironment({ url: api.url, home: home.path }) }
    },
    leave: async () => {
      await api.close()
      await home[Symbol.asyncDispose]()
    }
  }
}

/** Streams one answer to stdout and gives the id of its session. */
const stream = async (client: Client, prompt: string, label: string, resume?: string): Promise<string> => {
  process.stdout.write(label)
  const query = client.query(prompt, { includePartialMessages: true, resume })
  for await (const message of query) {
    if (message._tag === "Text" && message.parentToolUseId === undefined) process.stdout.write(message.content)
    if (message._tag === "ToolUse") say(`> ${message.tool}`)
  }
  process.stdout.write("\n")
  return (await query.result).sessionId
}

const tour = async (client: Client, label: string): Promise<void> => {
  console.log("One query, streamed:")
  await stream(client, "What is 2+2?", label)
  console.log("\nA conversation of two turns:")
  const sessionId = await stream(client, "My name is Ada.", label)
  await stream(client, "What is my name?", label, sessionId)
  console.log("\nA batch of three:")
  const results = await client.batchQuery(["What is 3*4?", "What is 10-7?", "What is 9/3?"], { concurrency: 3 })
  for (const { error, prompt, result } of results) console.log(`${label}${prompt} ${result?.result ?? error?.message}`)
}

const prompt = process.argv.slice(2).join(" ").trim()
const place = await ownCli() ?? await standIn()
const client = createClient(place.config)
try {
  if (prompt === "") await tour(client, place.label)
  else await stream(client, prompt, place.label)
} catch (error) {
  if (!(error instanceof CCFlowError)) throw error
  say(error.message)
  process.exitCode = 1
} finally {
  await client.close()
  await place.leave()
}
