/** The version of this package. @internal */
export const version = "0.1.0"
