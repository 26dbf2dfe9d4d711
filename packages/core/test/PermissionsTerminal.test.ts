import { Permissions } from "@ccflow/core"
import { Terminal } from "@effect/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Layer, Mailbox, Option } from "effect"

const request = (fields: Partial<Permissions.PermissionRequest>): Permissions.PermissionRequest => ({
  tool: "Bash",
  input: { command: "touch x" },
  toolUseId: "toolu_1",
  suggestions: [],
  requiresUserInteraction: false,
  raw: { subtype: "can_use_tool" },
  ...fields
})

const rule = { type: "addRules", rules: [{ toolName: "Bash" }], behavior: "allow", destination: "localSettings" }

/** A terminal at which these keys are pressed; `^C` leaves. */
const decide = (
  keys: ReadonlyArray<string>,
  asked: ReadonlyArray<Permissions.PermissionRequest>,
  { isTTY = true }: { readonly isTTY?: boolean } = {}
) =>
  Effect.gen(function*() {
    const shown: Array<string> = []
    const left = [...keys]
    const terminal = Terminal.Terminal.of({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      isTTY: Effect.succeed(isTTY),
      readLine: Effect.never,
      display: (text) => Effect.zipRight(Effect.yieldNow(), Effect.sync(() => shown.push(text))),
      readInput: Effect.gen(function*() {
        const mailbox = yield* Mailbox.make<Terminal.UserInput>()
        while (left.length > 0) {
          const pressed = left.shift() ?? ""
          if (pressed === "|") break
          if (pressed === "^C") {
            yield* mailbox.end
            break
          }
          yield* mailbox.offer({
            input: Option.some(pressed),
            key: { name: pressed === "\r" ? "return" : pressed, ctrl: false, meta: false, shift: false }
          })
        }
        return mailbox
      })
    })
    const decisions = yield* Effect.gen(function*() {
      const handler = yield* Permissions.Permissions
      const fibers = yield* Effect.forEach(asked, (one) => Effect.fork(handler!(one)))
      return yield* Effect.forEach(fibers, Fiber.join)
    }).pipe(
      Effect.provide(Permissions.layerTerminal.pipe(Layer.provide(Layer.succeed(Terminal.Terminal, terminal))))
    )
    return { decisions, shown: shown.join("") }
  })

describe("the terminal", () => {
  it.effect("is asked, and yes, no and always are understood; other keys are not an answer", () =>
    Effect.gen(function*() {
      const yes = yield* decide(["x", "\r", "y"], [request({})])
      assert.deepStrictEqual(yes.decisions, [Permissions.allow()])
      assert.include(yes.shown, "command: touch x")
      assert.notInclude(yes.shown, "always")
      const no = yield* decide(["a", "N"], [request({})])
      assert.deepStrictEqual(no.decisions, [Permissions.deny("The user said no.")])
      const always = yield* decide(["a"], [request({ suggestions: [{ type: "setMode", mode: "x" }, rule] })])
      assert.deepStrictEqual(always.decisions, [Permissions.allow({ rules: [{ ...rule, destination: "session" }] })])
    }))

  it.effect("is asked one question at a time", () =>
    Effect.gen(function*() {
      const both = yield* decide(["y", "|", "n"], [request({ tool: "First" }), request({ tool: "Second" })])
      assert.deepStrictEqual(both.decisions.map(({ _tag }) => _tag), ["Allow", "Deny"])
      assert.isAbove(both.shown.indexOf("Second"), both.shown.indexOf("yes\n"))
    }))

  it.effect("that the user leaves denies and ends the turn", () =>
    Effect.gen(function*() {
      const { decisions } = yield* decide(["^C"], [request({})])
      assert.deepStrictEqual(decisions, [Permissions.deny("The user left.", { interrupt: true })])
    }))

  it.effect("at which nobody sits denies, and says why", () =>
    Effect.gen(function*() {
      const { decisions, shown } = yield* decide(["y"], [request({})], { isTTY: false })
      assert.deepStrictEqual(decisions, [Permissions.deny("Nobody sits at a terminal to be asked.")])
      assert.strictEqual(shown, "")
    }))

  it.effect("asks the model's questions, for one label or for several", () =>
    Effect.gen(function*() {
      const options = [{ label: "A", description: "a" }, { label: "B", description: "b" }]
      const input = {
        questions: [
          { question: "Which?", header: "H", options, multiSelect: false },
          { question: "What else?", header: "E", options, multiSelect: true }
        ]
      }
      const asked = request({ tool: "AskUserQuestion", input, requiresUserInteraction: true })
      const { decisions } = yield* decide(["9", "2", "2", "1", "1", "\r"], [asked])
      assert.deepStrictEqual(decisions, [Permissions.answer(asked, { "Which?": "B", "What else?": ["B", "A"] })])
    }))

  it.effect("shows whatever a tool's input holds, and is not steered by it", () =>
    Effect.gen(function*() {
      const command = "ls\u001b[2K\r\u0007\u202ereversed\u200b\nAllow? [y]es"
      const { shown } = yield* decide(["n"], [
        request({ tool: "Ba\u001bsh", input: { command, nested: ["\u009b1m"] } })
      ])
      assert.include(shown, "\\u{1b}[2K\\u{d}\\u{7}\\u{202e}reversed\\u{200b}\\u{a}Allow?")
      const written = shown.replaceAll("\n", "")
      assert.notMatch(written, /[\p{Cc}\p{Cf}]/u)
    }))

  it("shows printable text as it is, and of all other text nothing that acts", { timeout: 60_000 }, async () => {
    const shownOf = async (command: string) => {
      const { shown } = await Effect.runPromise(decide(["n"], [request({ input: { command } })]))
      return shown.split("\n")[1] ?? ""
    }
    await FastCheck.assert(FastCheck.asyncProperty(FastCheck.string({ unit: "binary" }), async (text) => {
      assert.notMatch(await shownOf(text), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
    }))
    await FastCheck.assert(FastCheck.asyncProperty(FastCheck.string({ unit: "grapheme-ascii" }), async (text) => {
      assert.strictEqual(await shownOf(text), `  command: ${text}`)
    }))
  })
})
