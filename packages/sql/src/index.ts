// Written by scripts/barrels.mjs
export * as PgSessionRepository from "./PgSessionRepository.js"
export * as SqlBatchRepository from "./SqlBatchRepository.js"
export * as SqlEventLog from "./SqlEventLog.js"
export * as SqliteFile from "./SqliteFile.js"
export * as SqliteSessionRepository from "./SqliteSessionRepository.js"
export * as SqlSessionRepository from "./SqlSessionRepository.js"
export * as SqlUsageLedger from "./SqlUsageLedger.js"
export * as SqlUsageLimitStore from "./SqlUsageLimitStore.js"
