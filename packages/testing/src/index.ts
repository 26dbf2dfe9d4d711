// Written by scripts/barrels.mjs
export * as BatchRepositorySuite from "./BatchRepositorySuite.js"
export * as Cassette from "./Cassette.js"
export * as EventLogSuite from "./EventLogSuite.js"
export * as FakeClaude from "./FakeClaude.js"
export * as FakeCli from "./FakeCli.js"
export * as SessionRepositorySuite from "./SessionRepositorySuite.js"
export * as UsageLedgerSuite from "./UsageLedgerSuite.js"
export * as UsageLimitStoreSuite from "./UsageLimitStoreSuite.js"
