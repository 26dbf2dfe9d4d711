import * as Events from "@ccflow/core/Events"
import * as Policies from "@ccflow/core/Policies"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import type * as FakeCli from "@ccflow/testing/FakeCli"
import { Effect, Layer, type Scope } from "effect"

/** All that is told from now on, of some kinds or of all. */
export const hear = (
  ...types: ReadonlyArray<Events.EventType>
): Effect.Effect<Array<Events.Event>, never, Events.Events | Scope.Scope> =>
  Effect.gen(function*() {
    const { observe } = yield* Events.Events
    const heard: Array<Events.Event> = []
    yield* observe((event) => heard.push(event), types.length === 0 ? undefined : types)
    return heard
  })

/** The names of events, or of those that are of interest. */
export const names = (heard: ReadonlyArray<Events.Event>, ...types: ReadonlyArray<Events.EventType>) =>
  heard.map(({ _tag }) => _tag).filter((type) => types.length === 0 || types.includes(type))

/** Those of one kind. */
export const of = <Type extends Events.EventType>(heard: ReadonlyArray<Events.Event>, type: Type) =>
  heard.filter(Events.is(type))

/** A fake CLI with a bus. */
export const claude = (script: Parameters<typeof FakeCli.layer>[0], policies: Policies.PolicyOptions = {}) =>
  Layer.provideMerge(
    Layer.orDie(FakeClaude.layerWith(
      script,
      Layer.orDie(Policies.layerWith({ retry: false, circuitBreaker: false, usageLimit: false, ...policies }))
    )),
    Events.layer
  )
