/** What a check found. */
export interface CheckResult {
  readonly name: string
  readonly status: "ok" | "warning" | "failed" | "skipped"
  /** One line, or several. */
  readonly detail: string
  /** What to do, where there is something to do. */
  readonly fix?: string
}

/** A finding, before it has a name. */
export type Finding = Omit<CheckResult, "name">

export const ok = (detail: string): Finding => ({ status: "ok", detail })

export const skipped = (detail: string): Finding => ({ status: "skipped", detail })

export const warning = (detail: string, fix: string): Finding => ({ status: "warning", detail, fix })

export const failed = (detail: string, fix: string): Finding => ({ status: "failed", detail, fix })

/** One of several: as bad as the worst, with all that there is to say and to do. */
export const together = (findings: ReadonlyArray<Finding>, none: Finding): Finding => {
  if (findings.length === 0) return none
  const status = worst.find((status) => findings.some((finding) => finding.status === status)) ?? "ok"
  const fixes = new Set(findings.flatMap(({ fix }) => fix === undefined ? [] : [fix]))
  const detail = findings.map(({ detail }) => detail).join("\n")
  return fixes.size === 0 ? { status, detail } : { status, detail, fix: [...fixes].join("\n") }
}

// ---------------------------------------------------------------------------

const worst = ["failed", "warning", "ok", "skipped"] as const
