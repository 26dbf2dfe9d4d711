import * as Outcome from "@ccflow/core/Outcome"
import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"

/** How a process is judged that has left with these words before its first frame. */
const verdict = (stderrTail: string, facts: { readonly exitCode?: number; readonly frames?: number } = {}) => {
  const told = Outcome.decide({
    facts: {
      exitCode: 127,
      signal: null,
      argv: ["/opt/claude-2", "-p"],
      stderrTail,
      sessionId: "",
      frames: 0,
      ...facts
    },
    result: undefined,
    error: undefined,
    rejected: undefined,
    model: "",
    wantsStructuredOutput: false,
    interrupted: false
  })
  return Either.isLeft(told) ? told.left._tag : "no error"
}

describe("a wrapper that leaves with 127", () => {
  it("has not found the CLI where it says so, whoever it is", () => {
    for (
      const words of [
        "nice: ‘claude’: No such file or directory\n",
        "/usr/bin/env: 'claude': No such file or directory",
        "nice: can't execute 'claude': No such file or directory",
        "sh: 1: claude: not found",
        "bash: line 1: /usr/local/bin/claude: No such file or directory",
        "zsh:1: command not found: claude",
        "a warning before\nbash: line 1: claude-2: command not found",
        "exec: \"claude\": executable file not found in $PATH: unknown."
      ]
    ) assert.strictEqual(verdict(words), "CliNotFoundError", words)
  })

  it("says nothing of the CLI where something else is missing, or the CLI has run", () => {
    for (
      const words of [
        "",
        "/usr/bin/env: ‘node’: No such file or directory",
        "claude: line 3: jq: command not found",
        "claude: error while loading shared libraries: libx.so: cannot open shared object file: No such file or directory",
        "/opt/claude/lib: No such file or directory"
      ]
    ) assert.strictEqual(verdict(words), "CliExitError", words)
    assert.strictEqual(verdict("sh: 1: claude: not found", { frames: 1 }), "CliExitError")
    assert.strictEqual(verdict("sh: 1: claude: not found", { exitCode: 1 }), "CliExitError")
  })
})
