import { parametersOf, report, stopwatch } from "./measure.js"

const { specifiers } = parametersOf<{ readonly specifiers: ReadonlyArray<string> }>()
const passed = stopwatch()
for (const specifier of specifiers) await import(specifier)
const { cpuMs, wallMs } = passed()
report({ cpuMs, wallMs, rssMib: process.memoryUsage.rss() / 1024 / 1024 })
