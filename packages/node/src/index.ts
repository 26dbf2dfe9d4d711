// Written by scripts/barrels.mjs
export * as JsonFault from "./JsonFault.js"
export * as NodeClaude from "./NodeClaude.js"
export * as NodeCliProcess from "./NodeCliProcess.js"
export * as NodeDoctor from "./NodeDoctor.js"
export * as NodeSessionHolder from "./NodeSessionHolder.js"
export * as Prometheus from "./Prometheus.js"
