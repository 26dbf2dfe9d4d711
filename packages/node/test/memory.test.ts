import { CliProcess } from "@ccflow/core/CliProcess"
import * as NodeCliProcess from "@ccflow/node/NodeCliProcess"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { executable, invocation, linux, onlyLinux } from "./support.js"

describe.skipIf(!linux)(`the memory of a process${onlyLinux}`, () => {
  it.scopedLive("is what it holds, and unknown when it is gone", () =>
    Effect.gen(function*() {
      const file = yield* executable(
        `#!${process.execPath}\nconst held = Buffer.alloc(64 << 20, 1)\nconsole.log("ready")\nsetInterval(() => held, 1000)\n`
      )
      const scope = yield* Scope.make()
      const { open } = yield* CliProcess
      const cli = yield* Scope.extend(open(invocation(file)), scope)
      yield* cli.stdout
      const bytes = yield* cli.memory ?? Effect.void
      assert.isAbove(bytes ?? 0, 64 << 20)
      assert.isBelow(bytes ?? Infinity, 1 << 30)
      yield* Scope.close(scope, Exit.void)
      assert.isUndefined(yield* cli.memory ?? Effect.succeed(0))
    }).pipe(Effect.provide(NodeCliProcess.layer)))
})
