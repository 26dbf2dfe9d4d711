/** The version of this package. Written by scripts/barrels.mjs. */
export const version = "0.1.0"
