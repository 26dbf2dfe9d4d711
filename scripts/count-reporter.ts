import { writeSync } from "node:fs"
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node"
import { beginRun, note } from "../test/support/run.js"

/**
 * Ends every run, however it ended, with the line `N passed, N failed` and why tests were skipped. What the run as a
 * whole is held to counts as tests do.
 */
export default class CountReporter implements Reporter {
  private counts = { passed: 0, failed: 1, skipped: 0 }
  private readonly reasons = new Map<string, number>()

  onInit(): void {
    const endRun = beginRun()
    // By then the workers are gone, and what they should have ended with them.
    process.once("exit", () => {
      let { failed, passed } = this.counts
      for (const { broken, promise } of endRun()) {
        if (broken.length === 0) passed++
        else {
          failed++
          process.exitCode = 1
          writeSync(1, `FAILED ${promise}\n${broken.map((line) => `  ${line}\n`).join("")}`)
        }
      }
      for (const [reason, count] of this.reasons) writeSync(1, `skipped ${count}: ${reason}\n`)
      const { skipped } = this.counts
      writeSync(1, `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} skipped`}\n`)
    })
  }

  onUserConsoleLog({ content }: { readonly content: string }): void {
    note("what a test or the library under it logged", content)
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
    this.counts = { passed, failed, skipped }
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
