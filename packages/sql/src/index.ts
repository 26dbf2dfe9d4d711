// Written by scripts/barrels.mjs
export * as PgSessionRepository from "./PgSessionRepository.js"
export * as SqliteSessionRepository from "./SqliteSessionRepository.js"
export * as SqlSessionRepository from "./SqlSessionRepository.js"
