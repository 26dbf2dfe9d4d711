import * as Claude from "@ccflow/core/Claude"
import { CliProcess, defaultGraces } from "@ccflow/core/CliProcess"
import * as Hooks from "@ccflow/core/Hooks"
import type { Message } from "@ccflow/core/Message"
import * as Permissions from "@ccflow/core/Permissions"
import * as Session from "@ccflow/core/Session"
import * as Tools from "@ccflow/core/Tools"
import * as Cassette from "@ccflow/testing/Cassette"
import * as FakeCli from "@ccflow/testing/FakeCli"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, FastCheck, Fiber, Schema, Scope, Stream, TestClock } from "effect"
import { play, read, record, tape, write } from "./cassettes.js"

const all = (prompt: string, options?: Claude.ClaudeOptions) =>
  Effect.map(Stream.runCollect(Claude.query(prompt, options)), (chunk): ReadonlyArray<Message> => [...chunk])

/** Without what differs each time: ids, and times that were measured. */
const told = (messages: ReadonlyArray<Message>) =>
  JSON.parse(
    JSON.stringify(messages)
      .replace(/[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}|\b(?:toolu|msg|req|hook)_[\w-]+/g, "id")
      .replace(/"(duration_?\w*|ttft_ms)":\d+/gi, "\"$1\":0")
  ) as unknown

const whyNot = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(program), (error) => {
    const { facts, message } = error as { readonly message: string; readonly facts?: { readonly stderrTail: string } }
    return { message, stderr: facts?.stderrTail ?? "" }
  })

const calc = (sum: (a: number, b: number) => number = (a, b) => a + b) =>
  Tools.toolSet("calc", [Tools.tool({
    name: "add",
    description: "Adds",
    input: Schema.Struct({ a: Schema.Number, b: Schema.Number }),
    handler: ({ a, b }) => Effect.succeed(sum(a, b))
  })])

/** A turn in which the CLI asks the program everything that it can ask. */
const busy: FakeCli.Turn = [
  FakeCli.init(),
  FakeCli.askHook("UserPromptSubmit", { prompt: "go" }),
  FakeCli.askPermission("Bash", { command: "ls" }),
  FakeCli.callTool("calc", "add", { a: 2, b: 3 }),
  FakeCli.text("It is 5."),
  FakeCli.result({ result: "It is 5." })
]

const host = (
  { decision = Permissions.allow(), hook = Hooks.addContext("Be quick."), sum = (a, b) => a + b }: {
    readonly decision?: Permissions.Decision
    readonly hook?: Hooks.OutputOf<"UserPromptSubmit">
    readonly sum?: (a: number, b: number) => number
  } = {}
): Claude.ClaudeOptions => ({
  permissions: () => Effect.succeed(decision),
  hooks: [Hooks.on("UserPromptSubmit", () => Effect.succeed(hook))],
  toolSets: [calc(sum)]
})

/** Two turns of a session, and a third when it has been resumed in another process. */
const conversation = Effect.gen(function*() {
  const messages: Array<ReadonlyArray<Message>> = []
  const turn = (session: Session.Session, prompt: string) =>
    Effect.map(Stream.runCollect(session.send(prompt)), (chunk) => messages.push([...chunk]))
  const id = yield* Effect.scoped(Effect.gen(function*() {
    const session = yield* Session.make(host())
    yield* turn(session, "My name is Ada.")
    yield* turn(session, "go")
    return yield* session.id
  }))
  yield* Effect.scoped(Effect.flatMap(Session.make({ resume: id }), (session) => turn(session, "And now?")))
  return messages
})

const conversing: FakeCli.Plays = (index) => ({
  turns: index === 0 ? [FakeCli.answer("Hello Ada."), busy] : [FakeCli.answer("Still here.")]
})

describe("what was recorded is played", () => {
  it.scoped("the messages of one prompt", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const then = yield* record(
        file,
        [FakeCli.answer("one two three", { deltas: 3 })],
        all("2+2?", { includePartialMessages: true })
      )
      const now = yield* play(file, all("2+2?", { includePartialMessages: true }))
      assert.isAbove(then.length, 5)
      assert.deepStrictEqual(told(now), told(then))
    }))

  it.scoped("a session with permissions, hooks and tools, and its resumption in another process", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const then = yield* record(file, conversing, conversation)
      const now = yield* play(
        file,
        Effect.tap(conversation, () =>
          Effect.gen(function*() {
            assert.deepStrictEqual(yield* (yield* Cassette.Cassette).unplayed, [])
            assert.deepStrictEqual(yield* (yield* Cassette.Cassette).mismatches, [])
          }))
      )
      assert.deepStrictEqual(now.map(told), then.map(told))
      assert.include(JSON.stringify(now[1]), "It is 5.")
    }))

  it.scoped("a batch whose prompts come in another order", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const names = ["one", "two", "three"]
      const ask = (prompts: ReadonlyArray<string>) =>
        Effect.forEach(prompts, (prompt) => Claude.text(prompt, { systemPrompt: "x" }), { concurrency: 3 })
      const script = { respond: (prompt: string) => FakeCli.answer(`${prompt}!`) }
      assert.deepStrictEqual(yield* record(file, script, ask(names)), ["one!", "two!", "three!"])
      assert.deepStrictEqual(yield* play(file, ask(["three", "one", "two"])), ["three!", "one!", "two!"])
    }))

  it.scoped("a failure, with its stderr and its exit code", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const script = [[FakeCli.stderr("No conversation found with session ID: x\n"), FakeCli.exit(1)]]
      const then = yield* Effect.flip(record(file, script, Claude.text("hi", { resume: "x" })))
      const now = yield* Effect.flip(play(file, Claude.text("hi", { resume: "x" })))
      assert.strictEqual(then._tag, "SessionNotFoundError")
      assert.strictEqual(now._tag, then._tag)
    }))

  it.scoped("at once, or on the clock as it was", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const slow = [[FakeCli.init(), FakeCli.delay("1 hour"), ...FakeCli.answer("4").slice(1)]]
      /** How long it takes, while the clock goes on by minutes. */
      const taking = <A, E>(program: Effect.Effect<A, E>) =>
        Effect.gen(function*() {
          const began = yield* Clock.currentTimeMillis
          const fiber = yield* Effect.fork(Effect.zipRight(program, Clock.currentTimeMillis))
          while ((yield* Fiber.poll(fiber))._tag === "None") {
            yield* Effect.promise(() => new Promise((done) => setImmediate(done)))
            yield* TestClock.adjust("1 minute")
          }
          return (yield* Fiber.join(fiber)) - began
        })
      const ask = Claude.text("a", { startupTimeout: "1 day", stallTimeout: "1 day" })
      const hour = 3_600_000
      assert.isAtLeast(yield* taking(record(file, slow, ask)), hour)
      // Nobody moves the clock here.
      assert.strictEqual(yield* play(file, ask), "4")
      assert.isAtLeast(yield* taking(play(file, ask, { time: "recorded" })), hour)
    }))

  it.scoped("under the ids that the program chooses now", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const [then, now] = ["aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"]
      const ask = (sessionId: string) => Effect.map(all("hi", { sessionId }), (messages) => messages[0]?.sessionId)
      assert.strictEqual(yield* record(file, [FakeCli.answer("4")], ask(then)), then)
      assert.strictEqual(yield* play(file, ask(now)), now)
      assert.notInclude(yield* read(file), then)
    }))
})

describe("what is not in the cassette fails, and says what is different:", () => {
  const recorded = Effect.tap(tape, (file) => record(file, [busy], all("go\nnow", host())))

  it.scoped("another prompt", () =>
    Effect.gen(function*() {
      const { message, stderr } = yield* whyNot(play(yield* recorded, all("go\nthen", host())))
      assert.include(message, String.raw`the recording has the prompt "go\nnow", and the prompt "go\nthen" was sent`)
      assert.include(stderr, "  go\n- now\n+ then\n")
    }))

  it.scoped("another decision, another hook's answer, another tool's result", () =>
    Effect.gen(function*() {
      const file = yield* recorded
      const answers = [
        [
          { decision: Permissions.deny("No.") },
          "can_use_tool Bash",
          /- .*"behavior": "allow"[^]*\+ .*"behavior": "deny"/
        ],
        [{ hook: Hooks.addContext("Be slow.") }, "hook_callback", /- .*Be quick[^]*\+ .*Be slow/],
        [{ sum: () => 6 }, "mcp_message add", /- .*"5"[^]*\+ .*"6"/]
      ] as const
      for (const [answer, question, difference] of answers) {
        const { message, stderr } = yield* whyNot(play(file, all("go\nnow", host(answer))))
        assert.include(message, `another answer to ${question}`)
        assert.match(stderr, difference)
      }
    }))

  it.scoped("one prompt more, in the same process and in another", () =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* record(
        file,
        [FakeCli.answer("a")],
        Effect.scoped(Effect.flatMap(Session.make(), (it) => Session.text(it, "a")))
      )
      const twice = Effect.scoped(
        Effect.flatMap(Session.make(), (it) => Effect.zipRight(Session.text(it, "a"), Session.text(it, "b")))
      )
      assert.include((yield* whyNot(play(file, twice))).message, `nothing more, and the prompt "b" was sent`)
      const again = Effect.scoped(Effect.flatMap(Session.make(), (it) => Session.text(it, "a")))
      assert.include(
        (yield* whyNot(play(file, Effect.zipRight(again, again)))).message,
        "1 process, which has been played"
      )
    }))

  it.scoped("and who looks at the cassette sees it, whatever the program made of the failure", () =>
    Effect.gen(function*() {
      const [mismatches, unplayed] = yield* play(
        yield* recorded,
        Effect.zipRight(
          Effect.ignore(Claude.text("x", host())),
          Effect.flatMap(Cassette.Cassette, ({ mismatches, unplayed }) => Effect.all([mismatches, unplayed]))
        )
      )
      assert.strictEqual(mismatches.length, 1)
      assert.deepStrictEqual(unplayed, [1])
    }))

  it.scoped("another model or other flags, where that is asked for", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const ask = (options: Claude.ClaudeOptions) => Claude.text("2+2?", options)
      yield* record(file, [FakeCli.answer("4")], ask({ model: "opus", maxTurns: 2 }))
      assert.strictEqual(yield* play(file, ask({ model: "haiku", maxTurns: 3 })), "4")
      assert.strictEqual(yield* play(file, ask({ model: "opus", maxTurns: 3 }), { match: { model: true } }), "4")
      const model = yield* whyNot(play(file, ask({ model: "haiku" }), { match: { model: true } }))
      assert.match(model.message, /- --model=opus[^]*\+ --model=haiku[^]*the recording has other flags/)
      const flags = yield* whyNot(play(file, ask({ model: "opus", maxTurns: 3 }), { match: { flags: true } }))
      assert.match(flags.message, /- --max-turns=2[^]*\+ --max-turns=3/)
    }))

  it.scoped("a system prompt, as a flag that is not seen among the flags", () =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* record(file, [FakeCli.answer("4")], Claude.text("2+2?", { systemPrompt: "Be brief." }))
      assert.strictEqual(yield* play(file, Claude.text("2+2?", { systemPrompt: "Be long." })), "4")
      const other = Claude.text("2+2?", { systemPrompt: "Be long." })
      assert.match(
        (yield* whyNot(play(file, other, { match: { flags: true } }))).stderr,
        /- .*Be brief[^]*\+ .*Be long/
      )
    }))

  it.scoped("a request: the program hears that, and may go on", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const ask = (before: (session: Session.Session) => Effect.Effect<unknown, unknown>) =>
        Effect.scoped(Effect.flatMap(Session.make(), (session) =>
          Effect.zipRight(
            Effect.zipRight(Session.text(session, "a"), Effect.exit(before(session))),
            Session.text(session, "b")
          )))
      yield* record(file, [FakeCli.answer("a"), FakeCli.answer("b")], ask(() => Effect.void))
      const failures: Array<string> = []
      const setModel = (session: Session.Session) =>
        Effect.tapError(session.setModel("haiku"), (error) => Effect.sync(() => failures.push(String(error))))
      assert.strictEqual(yield* play(file, ask(setModel)), "b")
      assert.include(failures.join(), "the recording has no request set_model here")
    }))
})

describe("a file that cannot be played is refused:", () => {
  const refused = (text: string) =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* write(file, text)
      const error = yield* Effect.flip(play(file, Claude.text("hi")))
      assert.strictEqual(error._tag, "InvalidOptionsError")
      return error.message
    })

  it.scoped("none, another one, one of another version, and one with a broken line, which is named", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(play(yield* tape, Claude.text("hi")))
      assert.include(missing.message, "there is no file")
      assert.include(yield* refused("{}\n"), "its first line is not that of a cassette")
      assert.include(yield* refused(""), "its first line is not that of a cassette")
      assert.include(yield* refused("{\"cassette\":2}\n"), "it is of version 2, and this is for version 1")
      const head = "{\"cassette\":1,\"recorded\":\"2026-11-23\"}\n"
      assert.include(yield* refused(`${head}{"p":1,\n{"p":1}\n`), "line 2 is not a JSON object")
      assert.include(yield* refused(`${head}{"p":1,"out":{}}\n`), "line 2: process 1 has not been started")
      assert.include(yield* refused(`${head}{"p":1,"start":{}}\n{"p":1,"what":1}\n`), "line 3 is of no known kind")
    }))
})

describe("a recording that is cut", () => {
  /** What a host that is killed leaves: its layers are never closed. */
  const killed = (file: string) =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const ready = yield* Effect.fork(record(
        file,
        [FakeCli.answer("a"), [FakeCli.init(), FakeCli.text("half"), FakeCli.hang]],
        Effect.gen(function*() {
          const session = yield* Scope.extend(Session.make(), scope)
          yield* Session.text(session, "a")
          yield* Stream.runHead(Stream.filter(session.send("b"), (message) => message._tag === "Text"))
          return yield* Effect.flatMap(read(file), Effect.succeed)
        })
      ))
      return yield* Fiber.join(ready)
    })

  it.scoped("is a cassette, says so, and plays what it has", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const text = yield* killed(file)
      assert.match(text, /^\{"cassette":1,"recorded":"1970-01-01","cut":true\}\n/)
      // As if the last line had been under way.
      const lines = text.trimEnd().split("\n")
      const cut = lines.findLastIndex((line) => line.includes("\"half\""))
      yield* write(file, `${lines.slice(0, cut + 1).join("\n")}\n{"p":1,"ou`)
      const session = (prompts: ReadonlyArray<string>) =>
        Effect.scoped(
          Effect.flatMap(Session.make(), (it) => Effect.forEach(prompts, (prompt) => Session.text(it, prompt)))
        )
      assert.deepStrictEqual(yield* play(file, session(["a"])), ["a"])
      assert.include((yield* whyNot(play(file, session(["a", "b"])))).message, "the recording was cut here")
    }))
})

describe("the file", () => {
  it.scoped("is the same, byte by byte, when the same is recorded again", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* tape, yield* tape]
      yield* record(one, conversing, conversation)
      yield* record(other, conversing, conversation)
      assert.strictEqual(yield* read(one), yield* read(other))
    }))

  it.scoped("is the same in whatever pieces the CLI's words come", () =>
    Effect.gen(function*() {
      const frames = [{ type: "system", subtype: "init", tools: [], model: "ä😀" }, { type: "result", result: "ö" }]
      const bytes = new TextEncoder().encode(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(""))
      const recorded = (cuts: ReadonlyArray<number>) =>
        Effect.gen(function*() {
          const file = yield* tape
          const ends = [...cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b), bytes.length]
          const pieces = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) =>
            length > 0
          )
          yield* record(
            file,
            { start: [...pieces.flatMap((piece) => [FakeCli.raw(piece), FakeCli.delay(0)]), FakeCli.exit(0)] },
            Effect.scoped(Effect.gen(function*() {
              const cli = yield* (yield* CliProcess).open({
                command: "claude",
                args: [],
                env: {},
                files: [],
                graces: defaultGraces
              })
              yield* Effect.forkScoped(TestClock.adjust("1 second"))
              while ((yield* cli.stdout).length > 0) { /* to its end */ }
            }))
          )
          return (yield* read(file)).replace(/"waits":\[[\d,]*\]/, "")
        })
      const whole = yield* recorded([])
      const cuts = FastCheck.sample(FastCheck.array(FastCheck.nat(), { maxLength: 12 }), 12)
      for (const each of cuts) assert.strictEqual(yield* recorded(each), whole)
    }))

  it.scoped("has the version of the CLI and the day in its head, and is for its owner alone", () =>
    Effect.gen(function*() {
      const file = yield* tape
      yield* record(file, [FakeCli.answer("4")], Claude.text("2+2?"))
      assert.match(yield* read(file), /^\{"cassette":1,"claude":"2.1.330","recorded":"1970-01-01"\}\n/)
    }))
})

describe("a host that ends while it records", () => {
  it.scoped("has its process in the cassette as one that it closed", () =>
    Effect.gen(function*() {
      const file = yield* tape
      const first = Stream.runHead(Claude.query("a"))
      yield* record(file, [[FakeCli.init(), FakeCli.hang]], first)
      assert.match(yield* read(file), /"closed":true/)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(play(file, first))))
    }))
})
