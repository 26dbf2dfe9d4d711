import { writeSync } from "node:fs"
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node"

/** Ends every run, however it ended, with the line `N passed, N failed` and why tests were skipped. */
export default class CountReporter implements Reporter {
  private line = "0 passed, 1 failed"
  private readonly reasons = new Map<string, number>()

  onInit(): void {
    process.once("exit", () => {
      for (const [reason, count] of this.reasons) writeSync(1, `skipped ${count}: ${reason}\n`)
      writeSync(1, `${this.line}\n`)
    })
  }

  onTestCaseResult(test: TestCase): void {
    withoutFalseStacks(test.result().errors ?? [])
  }

  onTestSuiteResult(suite: TestSuite): void {
    withoutFalseStacks(suite.errors())
  }

  onTestRunEnd(
    modules: ReadonlyArray<TestModule>,
    unhandled: ReadonlyArray<unknown>,
    reason: "passed" | "failed" | "interrupted"
  ): void {
    let passed = 0
    let failed = unhandled.length
    let skipped = 0
    for (const module of modules) {
      const before = failed
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === "passed") passed++
        else if (state === "failed") failed++
        else {
          skipped++
          this.note(test)
        }
      }
      // A hook that threw, or a file that could not be loaded, has no failed test of its own.
      for (const suite of module.children.allSuites()) failed += suite.errors().length
      failed += module.errors().length
      if (!module.ok() && failed === before) failed++
    }
    if (reason !== "passed" && failed === 0) failed = 1
    this.line = `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}`
  }

  private note(test: TestCase): void {
    const result = test.result()
    const reason = (result.state === "skipped" ? result.note : undefined) ??
      / \(skipped: (.*)\)/.exec(test.fullName)?.[1] ?? "no reason given"
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
  }
}

/**
 * An effect that fails with a value has its text for a stack. Vitest looks for frames in each of its lines by a pattern
 * that takes minutes on a line of JSON.
 */
const withoutFalseStacks = (errors: ReadonlyArray<SerializedError>): void => {
  for (const error of errors) if (!/^\s*at /m.test(error.stack ?? "")) delete error.stack
}
