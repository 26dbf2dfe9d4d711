import * as RateLimiter from "@ccflow/core/RateLimiter"
import type { RateLimiterStore } from "@effect/experimental/RateLimiter"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { connect } from "node:net"

const address = { host: "127.0.0.1", port: 6379 }

const answers = (): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(address)
    const end = (yes: boolean) => {
      socket.destroy()
      resolve(yes)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once("error", () => end(false)).once("connect", () => socket.write("PING\r\n"))
    socket.once("data", (data) => end(data.toString().startsWith("+PONG")))
  })

/** Another name for each run: nothing of an earlier one is there. */
const prefix = `ccflow-test-${process.pid}-${Math.random().toString(36).slice(2)}:`

type Store = Layer.Layer<RateLimiterStore>

/** The library's own store, or why it cannot be had here. */
const storeOf = async (): Promise<Store | string> => {
  // The optional peer of the library's module; without it the module cannot be loaded.
  const name = "@effect/experimental/RateLimiter/Redis"
  const module = await import(/* @vite-ignore */ name).catch(() => undefined)
  if (module === undefined) return "needs the package ioredis"
  if (!await answers()) return `needs a Redis on ${address.host}:${address.port}`
  return module.layerStore({ ...address, prefix }) as Store
}

const store = await storeOf()

describe("hosts that share a Redis", () => {
  /** Each with its own connection and its own memory. */
  const starts = (hosts: number, calls: number, options: RateLimiter.RateLimiterOptions) =>
    Effect.gen(function*() {
      const times: Array<number> = []
      let asked = Infinity
      if (typeof store === "string") return { asked, times }
      yield* Effect.forEach(
        Array.from({ length: hosts }),
        () =>
          Effect.gen(function*() {
            const scope = yield* Scope.make()
            const layer = Layer.provide(RateLimiter.layerWith(options), Layer.fresh(store))
            const context = yield* Layer.buildWithScope(layer, scope)
            asked = Math.min(asked, Date.now())
            yield* Effect.forEach(
              Array.from({ length: calls }),
              () =>
                RateLimiter.RateLimiter.pipe(
                  Effect.flatMap(({ acquire }) => Effect.scoped(acquire({ key: options.algorithm ?? "bucket" }))),
                  Effect.map(() => times.push(Date.now()))
                ),
              { concurrency: "unbounded" }
            ).pipe(Effect.provide(context))
            yield* Scope.close(scope, Exit.void)
          }),
        { concurrency: "unbounded" }
      )
      return { asked, times: times.toSorted((one, other) => one - other) }
    })

  it.live("keep an even rate together", (ctx) => {
    if (typeof store === "string") ctx.skip(store)
    return Effect.gen(function*() {
      // 50 ms between two.
      const { asked, times } = yield* starts(3, 4, { requestsPerMinute: 1200, burst: 2 })
      assert.strictEqual(times.length, 12)
      const tolerance = 5
      for (const [index, time] of times.entries()) {
        assert.isAtLeast(time - asked, (index - 1) * 50 - tolerance)
      }
    })
  })

  it.live("never have more in a window together", (ctx) => {
    if (typeof store === "string") ctx.skip(store)
    return Effect.gen(function*() {
      const [requests, window] = [4, 500]
      const { times } = yield* starts(3, 4, { requestsPerWindow: { requests, window } })
      assert.strictEqual(times.length, 12)
      // A busy machine notes a start later than it was.
      const tolerance = 200
      for (let index = requests; index < times.length; index++) {
        assert.isAtLeast(times[index]! - times[index - requests]!, window - tolerance)
      }
    })
  })
})
