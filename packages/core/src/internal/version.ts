/** The version of this package. Written by scripts/barrels.mjs. @internal */
export const version = "0.1.0"
