// Written by scripts/barrels.mjs
export * as FakeCli from "./FakeCli.js"
