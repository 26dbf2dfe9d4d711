import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import projects from "./vitest.workspace.js"

export default defineConfig({
  test: {
    projects,
    // Most of the time goes into waiting for processes: one less than the cores would be one on a small machine.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    minWorkers: 1,
    // Beside the others, which wait for processes half of the time.
    poolOptions: { threads: { isolate: false, maxThreads: 1, minThreads: 1 } },
    reporters: ["default", "./scripts/count-reporter.ts"]
  }
})
