import type { Message, QueryOptions } from "ccflow"
import { describe, it } from "vitest"
import * as Api from "./MessagesApi.js"
import type { SandboxHome, SandboxOptions } from "./RealCli.js"
import { realCli, sandboxHome, supportedVersions } from "./RealCli.js"
import { throughLibrary } from "./throughLibrary.js"

/** One block of tests for each version of the real CLI; a version that cannot be had is skipped, and says why. */
export const describeRealCli = async (
  title: string,
  tests: (cli: { readonly path: string; readonly version: string }) => void,
  /** Waiting for the CLI takes longer than it works: where no test minds the others, some run at once. */
  { concurrent = false } = {}
): Promise<void> => {
  for (const version of supportedVersions) {
    const cli = await realCli(version)
    describe(`${title}, claude ${version}`, concurrent ? { concurrent } : {}, () => {
      if (cli._tag === "found") tests(cli)
      else it.skip(`all of it (skipped: ${cli.reason})`, () => {})
    })
  }
}

export interface How {
  readonly prompt?: string
  /** Left out, a good answer. `index` counts the requests of this query. */
  readonly reply?: Api.Reply | ((request: Api.MessagesRequest, index: number) => Api.Reply)
  /** Left out, the one that all share. */
  readonly home?: SandboxHome
  readonly credentials?: SandboxOptions["credentials"]
  readonly env?: Readonly<Record<string, string>>
  readonly url?: string
  readonly path?: string
}

type Of<Tag extends Message["_tag"]> = Extract<Message, { readonly _tag: Tag }>

/** What a query came to, and what it made the CLI ask the API. */
export class Asked {
  readonly messages: Array<Message> = []
  readonly requests: Array<Api.MessagesRequest> = []
  error: unknown

  all<Tag extends Message["_tag"]>(tag: Tag): ReadonlyArray<Of<Tag>> {
    return this.messages.filter((message): message is Of<Tag> => message._tag === tag)
  }

  one<Tag extends Message["_tag"]>(tag: Tag): Of<Tag> {
    const [found] = this.all(tag)
    if (found === undefined) throw new Error(`No ${tag}: ${String(this.error)}`)
    return found
  }

  /** A field of the first request. */
  asked(field: string): unknown {
    const body = this.requests[0]?.body
    return typeof body === "object" && body !== null && field in body ? Reflect.get(body, field) : undefined
  }

  /** Everything that the API was told. */
  get told(): string {
    return JSON.stringify(this.requests.map((request) => request.body))
  }
}

/** One stand-in and one home for many queries at once: a mark in each prompt tells whose request it is. */
export interface Bench extends AsyncDisposable {
  readonly api: Api.MessagesApi
  readonly home: SandboxHome
  readonly newHome: () => Promise<SandboxHome>
  readonly ask: (options: QueryOptions, how?: How) => Promise<Asked>
}

export const startBench = async (path: string): Promise<Bench> => {
  const queries: Array<{ readonly asked: Asked; readonly how: How }> = []
  const homes: Array<SandboxHome> = []

  const api = await Api.startMessagesApi((request) => {
    const mark = request.userTexts.findLast((text) => markPattern.test(text))
    const query = queries[Number(markPattern.exec(mark ?? "")?.[1])]
    if (query === undefined) return Api.status(500, { message: "a request of no query" })
    const { asked, how: { reply = Api.text("ok") } } = query
    asked.requests.push(request)
    return typeof reply === "function" ? reply(request, asked.requests.length - 1) : reply
  })

  const newHome = async () => {
    const home = await sandboxHome()
    homes.push(home)
    return home
  }
  const shared = await newHome()

  return {
    api,
    home: shared,
    newHome,
    ask: async (options, how = {}) => {
      const asked = new Asked()
      const mark = `query#${queries.push({ asked, how }) - 1}.`
      const home = how.home ?? shared
      await using client = throughLibrary({
        path: how.path ?? path,
        url: how.url ?? api.url,
        home: home.path,
        ...(how.credentials === undefined ? {} : { credentials: how.credentials }),
        extra: { CLAUDE_CODE_MAX_RETRIES: "0", ...how.env },
        config: { cwd: home.project, timeout: "30 seconds" }
      })
      try {
        for await (const message of client.query(`${how.prompt ?? "Hello"} ${mark}`, options)) {
          asked.messages.push(message)
        }
      } catch (error) {
        asked.error = error
      }
      return asked
    },
    async [Symbol.asyncDispose]() {
      await api.close()
      await Promise.all(homes.map((home) => home[Symbol.asyncDispose]()))
    }
  }
}

const markPattern = /query#(\d+)\./
