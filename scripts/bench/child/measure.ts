/** What the parent asks for. */
export const parametersOf = <A>(): A => {
  const parameters: A = JSON.parse(process.argv[2] ?? "{}")
  return parameters
}

/** Tells the parent, and ends: a library may keep timers. */
export const report = (sample: Readonly<Record<string, number>>): void => {
  process.stdout.write(`${JSON.stringify(sample)}\n`, () => process.exit(0))
}

export interface Time {
  readonly cpuMs: number
  readonly wallMs: number
}

/** Starts measuring; gives what has passed since. CPU time is that of all threads, garbage collection included. */
export const stopwatch = (): () => Time => {
  const startedAt = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { system, user } = process.cpuUsage(before)
    return { cpuMs: (user + system) / 1000, wallMs: performance.now() - startedAt }
  }
}
