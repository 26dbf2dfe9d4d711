import { spawn } from "node:child_process"

/** What one run of one variant measured. */
export type Sample = Readonly<Record<string, number>>

/** One variant's samples, one a round; or why it could not be measured. */
export type Samples =
  | { readonly _tag: "measured"; readonly rounds: ReadonlyArray<Sample> }
  | { readonly _tag: "leftOut"; readonly reason: string }

export type Measured<Name extends string> = Readonly<Record<Name, Samples>>

const shuffled = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> =>
  values.map((value) => [Math.random(), value] as const).sort(([left], [right]) => left - right).map(([, value]) =>
    value
  )

/** All variants once a round, in a new order each time. A variant that fails is left out from then on. */
export const interleave = async <Name extends string>(
  names: ReadonlyArray<Name>,
  rounds: number,
  run: (name: Name) => Promise<Sample>
): Promise<Measured<Name>> => {
  const measured = new Map<Name, Array<Sample>>(names.map((name) => [name, []]))
  const failed = new Map<Name, string>()
  for (let round = 0; round < rounds; round++) {
    for (const name of shuffled(names)) {
      if (failed.has(name)) continue
      await run(name).then(
        (sample) => measured.get(name)?.push(sample),
        (cause: unknown) => failed.set(name, cause instanceof Error ? cause.message : String(cause))
      )
    }
    process.stderr.write(".")
  }
  return Object.fromEntries(names.map((name): [Name, Samples] => {
    const reason = failed.get(name)
    return [name, reason === undefined ? { _tag: "measured", rounds: measured.get(name) ?? [] } : leftOut(reason)]
  })) as Record<Name, Samples>
}

export const leftOut = (reason: string): Samples => ({ _tag: "leftOut", reason })

/** One figure of every round. */
export const column = (samples: Samples, figure: string): ReadonlyArray<number> =>
  samples._tag === "measured" ? samples.rounds.map((sample) => sample[figure] ?? NaN) : []

export interface Command {
  readonly args: ReadonlyArray<string>
  /** The whole environment. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

export interface Ran {
  readonly wallMs: number
  /** The last line of stdout. */
  readonly last: string
}

const limitMs = 120_000

/** Runs Node to its end. Fails when that is not a good one. */
export const runNode = ({ args, cwd, env }: Command): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const child = spawn(process.execPath, args, {
      env,
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: limitMs,
      killSignal: "SIGKILL"
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (part: Buffer) => stdout += part.toString("utf8"))
    child.stderr.on("data", (part: Buffer) => stderr = (stderr + part.toString("utf8")).slice(-4000))
    child.on("error", reject)
    child.on("close", (code, signal) => {
      const wallMs = performance.now() - startedAt
      if (code === 0) return resolve({ wallMs, last: stdout.trimEnd().split("\n").at(-1) ?? "" })
      reject(new Error(signal === null ? `exit ${code}: ${whatWentWrong(stderr)}` : `ended by ${signal}`))
    })
  })

/** The line that names the error; Node shows source text before it. */
const whatWentWrong = (stderr: string): string =>
  stderr.split("\n").find((line) => /^\w*(Error|Exception)\b/.test(line)) ?? stderr.trim().split("\n").at(-1) ?? ""

/** Runs one of the child programs, which ends by printing its sample. */
export const runChild = async (
  program: string,
  parameters: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  flags: ReadonlyArray<string> = []
): Promise<Sample> => {
  const { last } = await runNode({ args: [...flags, program, JSON.stringify(parameters)], env })
  const sample: Sample = JSON.parse(last)
  return sample
}
