/**
 * What everything that starts CLIs promises, as programs: each fails when its promise is broken. For a `CliProcess` of
 * your own that runs the CLI in a container, on another machine or behind a wrapper.
 *
 * They run `fake-claude` of this package, which has to be there where the CLIs run, and look at it only through the
 * service itself: whether a process lives, and what is in a file, is asked of another `fake-claude` beside it.
 */
import { CliProcess } from "@ccflow/core/CliProcess"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { closing } from "./internal/closingPromises.js"
import { pipes } from "./internal/pipePromises.js"
import type { ProcessPromise } from "./internal/processPromise.js"
import { BrokenPromise, type PromiseOf } from "./internal/promise.js"
import { spawning } from "./internal/spawningPromises.js"

/** What is run. */
export interface Subject {
  /** `fake-claude`, as the CLI is named to the service: a path, or a name on the `PATH` of where it runs. */
  readonly command: string
  /** Before all other arguments. Default: none. */
  readonly args?: ReadonlyArray<string> | undefined
  /** What it needs there to run, beside the script. Default: nothing. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /**
   * How much the host holds for the CLIs that it runs, such as its open descriptors: must be after some as it was before.
   * Default: not looked at.
   */
  readonly held?: Effect.Effect<number> | undefined
}

/** One promise, and the program that holds a service to it. It takes seconds of real time, also under a test clock. */
export type Promised = PromiseOf<CliProcess>

export const suite = (subject: Subject): ReadonlyArray<Promised> =>
  [...spawning, ...pipes, ...closing].map(({ name, run }: ProcessPromise): Promised => ({
    name,
    run: Effect.flatMap(CliProcess, (service) => Effect.scoped(run({ ...subject, service }))).pipe(
      Effect.timeoutFail({
        duration: patience,
        onTimeout: () => new BrokenPromise({ what: "it comes to an end", expected: patience, actual: "it hangs" })
      }),
      Effect.withClock(Clock.make())
    )
  }))

// ---------------------------------------------------------------------------

const patience = "40 seconds"
