import { SessionHolder } from "@ccflow/core/SessionHolder"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import * as NodeSessionHolder from "../src/NodeSessionHolder.js"

const linux = existsSync("/proc/self/stat")

const holder = Effect.provide(SessionHolder, NodeSessionHolder.layer)
const alive = (name: string) =>
  Effect.flatMap(holder, ({ isAlive }) => {
    const answer = isAlive(name)
    return Effect.isEffect(answer) ? answer : Effect.succeed(answer)
  })
const named = (id: string, pid: number | undefined) => id.replace(/^\d+/, String(pid))

describe("a process that holds sessions", () => {
  it.effect("is the same each time that it is asked, and alive", () =>
    Effect.gen(function*() {
      const { id } = yield* holder
      assert.strictEqual((yield* holder).id, id)
      assert.match(id, linux ? /^\d+@.+:[0-9a-f]{8}:\d+#\d+$/ : /^\d+@.+#$/)
      assert.isTrue(yield* alive(id))
    }))

  it.live.skipIf(!linux)(
    "is dead when it has ended, also while nobody has taken note of that",
    () =>
      Effect.gen(function*() {
        const { id } = yield* holder
        // Its parent does not wait for it: it stays, as a zombie.
        const parent = spawn(process.execPath, [
          "-e",
          "const c = require('node:child_process').spawn('sh', ['-c', 'exec sleep 60 & echo $!; kill -9 $!; exec sleep 60'],"
          + "{ stdio: 'inherit' })"
        ], { stdio: ["ignore", "pipe", "inherit"], detached: true })
        const [printed] = yield* Effect.promise(() => once(parent.stdout, "data"))
        const zombie = Number(String(printed))
        yield* Effect.sleep("50 millis")
        const whileZombie = yield* alive(named(id, zombie))
        process.kill(-(parent.pid ?? 0), "SIGKILL")
        yield* Effect.promise(() => once(parent, "exit"))
        assert.isFalse(whileZombie)
        assert.isFalse(yield* alive(named(id, parent.pid)))
      })
  )

  it.effect("is not another process that has got its pid since", () =>
    Effect.gen(function*() {
      const { id } = yield* holder
      assert.strictEqual(yield* alive(named(id, process.ppid)), !linux)
    }))

  it.effect("is taken to be alive on another machine, and where it is unknown what it is", () =>
    Effect.gen(function*() {
      const { id } = yield* holder
      assert.isTrue(yield* alive(id.replace("@", "@not-").replace(/^\d+/, "999999999")))
      assert.isTrue(yield* alive("c0ffee"))
    }))
})
