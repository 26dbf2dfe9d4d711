import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import {
  beside,
  broken,
  holds,
  open,
  opened,
  type ProcessPromise,
  promises,
  prompt,
  readAll,
  type Tested,
  told
} from "./processPromise.js"
import { same } from "./promise.js"

const odd = "a=b 'c' \"d\" $HOME `id` \\ \u2603\n--e"
const secret = "a value that nobody may see"

/** A start that must not come about, by a typed error or as a wrapper tells it that has started already. */
const refused = (tested: Tested, what: string, start: { readonly command?: string; readonly cwd?: string }) =>
  Effect.scoped(Effect.gen(function*() {
    const cli = yield* Effect.either(open({ ...tested, command: start.command ?? tested.command }, {}, start))
    if (Either.isLeft(cli)) {
      const { _tag, hint } = cli.left
      yield* holds(`${what}: a typed error`, _tag === "CliNotFoundError" || _tag === "CliSpawnError", _tag)
      return yield* holds(`${what}: what to do about it`, hint !== "")
    }
    yield* cli.right.closeInput
    yield* same(`${what}: prints nothing`, (yield* readAll(cli.right)).text, "")
    const { code } = yield* cli.right.exit
    yield* holds(`${what}: exit code 126 or 127`, code === 126 || code === 127, code)
  }))

export const spawning: ReadonlyArray<ProcessPromise> = promises({
  *"starts it with the arguments as they are, each a value of its own that no shell has seen"(tested) {
    const args = [`--one=${odd}`, "--two=", "--three"]
    const cli = yield* open(tested, { start: [{ tell: {} }] }, { args })
    yield* same("arguments", (yield* told(cli)).argv.slice(-args.length), args)
  },
  *"starts it with the variables as they are given, and without those that are dropped"(tested) {
    const env = { CCFLOW_ADDED: odd, CCFLOW_EMPTY: "", HOME: undefined }
    const start = [{ tell: { env: [...Object.keys(env), "CCFLOW_OTHER"] } }]
    yield* same("environment", (yield* told(yield* open(tested, { start }, { env }))).env, {
      CCFLOW_ADDED: odd,
      CCFLOW_EMPTY: "",
      HOME: null,
      CCFLOW_OTHER: null
    })
  },
  *"starts it in the folder that it is told"(tested) {
    yield* same("cwd", (yield* told(yield* open(tested, { start: [{ tell: {} }] }, { cwd: "/" }))).cwd, "/")
  },
  *"shows neither prompts nor what is in files among the arguments, and the files go with the process"(tested) {
    const files = [{ flag: "--settings", content: `{"one":"${secret}"}` }, {
      flag: "--mcp-config",
      content: secret
    }]
    const { cli, close } = yield* opened(tested, { turns: [[{ tell: {} }]] }, { files })
    yield* cli.send(prompt(`${secret} either`))
    const { argv } = yield* told(cli)
    yield* holds("no secret is an argument", !argv.some((arg) => arg.includes(secret)), argv)
    const paths = files.map(({ flag }) => argv.find((arg) => arg.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? "")
    const look = beside(tested, { files: paths })
    yield* same("what the files hold", Object.values((yield* look).files), files.map(({ content }) => content))
    yield* close
    yield* same("what is left of them", Object.values((yield* look).files), files.map(() => null))
  },
  *"says why it cannot start what is missing, or in a folder that is missing"(tested) {
    yield* refused(tested, "a name that is none", { command: "ccflow-no-such-command" })
    yield* refused(tested, "a path that is none", { command: "/no/such/folder/claude" })
    yield* refused(tested, "a folder", { command: "/" })
    yield* refused(tested, "a cwd that is none", { cwd: "/no/such/folder" })
  },
  *"keeps those apart that run at once"(tested) {
    const names = ["one", "two", "three"]
    const answers = yield* Effect.forEach(names, (name) =>
      Effect.scoped(Effect.gen(function*() {
        const cli = yield* open(tested, {})
        if (!(yield* cli.send(prompt(name)))) return yield* broken("takes a prompt", true, false)
        yield* cli.closeInput
        return /"result":"(echo: \w+)"/.exec((yield* readAll(cli)).text)?.[1]
      })), { concurrency: "unbounded" })
    yield* same("answers", answers, names.map((name) => `echo: ${name}`))
  }
})
