import type { CheckResult } from "@ccflow/node/NodeDoctor"
import { oneLine } from "./safe.js"
import { padded } from "./width.js"

/** What `--json` prints. @internal */
export interface Diagnosis {
  /** Nothing failed. */
  readonly ok: boolean
  readonly failed: number
  readonly warnings: number
  readonly checks: ReadonlyArray<CheckResult>
}

/** @internal */
export const diagnosisOf = (checks: ReadonlyArray<CheckResult>): Diagnosis => {
  const failed = checks.filter(({ status }) => status === "failed").length
  const warnings = checks.filter(({ status }) => status === "warning").length
  return { ok: failed === 0, failed, warnings, checks }
}

/** For people. What was read somewhere is one line after the other, and can steer no terminal. @internal */
export const shown = ({ checks, failed, warnings }: Diagnosis, colour: boolean): string => {
  const paint = (code: number, text: string) => colour ? `\u001b[${code}m${text}\u001b[0m` : text
  const width = Math.max(...checks.map(({ name }) => name.length))
  const indent = " ".repeat(width + 4)
  const lines = checks.flatMap(({ detail, fix, name, status }) => {
    const { code, mark } = marks[status]
    const [first = "", ...more] = detail.split("\n").map(oneLine)
    return [
      `${paint(code, mark)} ${padded(name, width)}  ${first}`,
      ...more.map((line) => `${indent}${line}`),
      ...(fix === undefined ? [] : fix.split("\n").map((line) => `${indent}${paint(36, "fix:")} ${oneLine(line)}`))
    ]
  })
  const sum = failed + warnings === 0
    ? "Nothing is wrong."
    : `${failed} failed, ${warnings} ${warnings === 1 ? "warning" : "warnings"}.`
  return `${[...lines, "", sum].join("\n")}\n`
}

// ---------------------------------------------------------------------------

const marks: Readonly<Record<CheckResult["status"], { readonly mark: string; readonly code: number }>> = {
  ok: { mark: "✓", code: 32 },
  warning: { mark: "!", code: 33 },
  failed: { mark: "✗", code: 31 },
  skipped: { mark: "-", code: 2 }
}
