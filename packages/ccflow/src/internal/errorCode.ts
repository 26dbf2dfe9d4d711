/** What the system calls an error, such as `ENOENT`; empty where it is none of the system's. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
