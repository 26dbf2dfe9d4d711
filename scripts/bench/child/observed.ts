import * as Budget from "@ccflow/core/Budget"
import * as Claude from "@ccflow/core/Claude"
import * as Events from "@ccflow/core/Events"
import * as Metrics from "@ccflow/core/Metrics"
import * as Policies from "@ccflow/core/Policies"
import * as Telemetry from "@ccflow/core/Telemetry"
import * as UsageLedger from "@ccflow/core/UsageLedger"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import * as SqlUsageLedger from "@ccflow/sql/SqlUsageLedger"
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import * as FakeCli from "@ccflow/testing/FakeCli"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parametersOf, report, stopwatch } from "./measure.js"

/** What looks on, each with what it needs. */
export type Variant = "none" | "usual" | "oneKind" | "everything" | "metrics" | "otlp" | "budget" | "sqlite"

const { count, variant, warmup } = parametersOf<
  { readonly variant: Variant; readonly warmup: number; readonly count: number }
>()

/** Ten tools and their results, with text in parts around them: 52 messages. */
const turn = [
  FakeCli.init(),
  ...Array.from({ length: 10 }, (_, index) => [
    FakeCli.text("A sentence of some words that the model says before it acts. ", { deltas: 2 }),
    FakeCli.toolUse(`toolu_${index}`, "Read", { file_path: `/home/user/project/${index}.ts` }),
    FakeCli.toolResult(`toolu_${index}`, "export const answer = 42\n".repeat(20))
  ]).flat(),
  FakeCli.result({ result: "Done." })
]

const folder = mkdtempSync(join(tmpdir(), "ccflow-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))

/** A collector that is always glad to take what it is given. */
const collector = Layer.unwrapScoped(Effect.gen(function*() {
  const server = createServer((request, response) => request.resume().on("end", () => response.end("{}")))
  const port = yield* Effect.async<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
  yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
  return Telemetry.layerOtlp({ endpoint: `http://127.0.0.1:${port}` })
}))

const observing = (kinds?: ReadonlyArray<Events.EventType>) =>
  Layer.scopedDiscard(Effect.flatMap(Events.Events, (events) => events.observe(() => {}, kinds)))

const usual = Layer.merge(Events.layer, UsageLedger.layerMemory)
const claude = FakeClaude.layer(() => ({ respond: () => turn }))
const over = <Out, E, R>(layer: Layer.Layer<Out, E, R>) => Layer.provide(claude, Layer.provideMerge(layer, usual))

const variants: Record<Variant, Layer.Layer<Claude.Claude, unknown>> = {
  none: claude,
  usual: Layer.provide(claude, usual),
  oneKind: over(observing(["TokensUsed"])),
  everything: over(observing()),
  metrics: over(Metrics.layer),
  otlp: Layer.provide(claude, Layer.provideMerge(collector, usual)),
  budget: FakeClaude.layerWith(
    () => ({ respond: () => turn }),
    Layer.merge(Policies.layerNoop, Budget.layer({ perQueryUsd: 100, perDayUsd: 1000 }))
  ).pipe(Layer.provide(usual)),
  sqlite: Layer.provide(
    claude,
    Layer.provide(Layer.merge(Events.layer, SqlUsageLedger.layer), SqliteFile.layer({ path: join(folder, "usage.db") }))
  )
}

const program = Effect.gen(function*() {
  const ask = Stream.runCount(Claude.query("What is 2+2?"))
  yield* Effect.repeatN(ask, warmup - 1)
  const passed = stopwatch()
  let seen = 0
  for (let i = 0; i < count; i++) seen += yield* ask
  const { cpuMs, wallMs } = passed()
  if (seen < 50 * count) return yield* Effect.dieMessage(`${seen} messages`)
  return { cpuMs: cpuMs / count, wallMs: wallMs / count }
})

report(await Effect.runPromise(Effect.provide(program, variants[variant])))
