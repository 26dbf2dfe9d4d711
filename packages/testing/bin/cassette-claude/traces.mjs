// What this machine and this user would leave in a recording.
import { scrubber } from "#cassette/Scrub"
import { isSecretName } from "@ccflow/core/Redaction"
import { realpathSync } from "node:fs"
import { homedir, tmpdir } from "node:os"

/** A place by each of its names. */
const both = (path) => {
  try {
    return [...new Set([path, realpathSync(path)])]
  } catch {
    return [path]
  }
}

export const scrubbing = (redact) =>
  scrubber({
    homes: both(homedir()),
    cwds: both(process.cwd()),
    tmps: both(tmpdir()),
    secrets: Object.entries(process.env).flatMap(([name, value]) => isSecretName(name) ? [value] : []),
    redact
  })
