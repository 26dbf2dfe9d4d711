import { suite } from "@ccflow/testing/SessionRepositorySuite"
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { because, noPostgres, postgres, sqlite } from "./support.js"

describe("sessions in a SQLite file", () => {
  for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, sqlite))
})

describe.skipIf(noPostgres !== undefined)(
  `sessions in PostgreSQL${because(noPostgres)}`,
  () => {
    for (const { name, run } of suite) it.effect(name, () => Effect.provide(run, postgres))
  }
)
