import { availableParallelism, totalmem } from "node:os"

export interface Machine {
  readonly cores: number
  readonly memoryBytes: number
}

/**
 * How many CLIs a machine can hold. They wait for the API most of the time, so that a core serves several; each was seen
 * to hold 160 MB at first and 240 MB after 50 turns, and has MCP servers and tools beside it. Half of the memory is left
 * to the rest.
 */
export const processesOn = ({ cores, memoryBytes }: Machine): number =>
  Math.max(least, Math.min(perCore * cores, Math.floor(memoryBytes / 2 / bytesEach)))

/** This machine, or the container's part of it. */
export const machine = (): Machine => {
  const constrained = process.constrainedMemory()
  return {
    cores: availableParallelism(),
    // No constraint is 0 in one Node, and more than any machine has in another.
    memoryBytes: constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  }
}

// ---------------------------------------------------------------------------

/** One more than a query that asks another from its tool. */
const least = 2

const perCore = 4

const bytesEach = 512 * 1024 ** 2
