import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Frame } from "./frames.js"

const folder = fileURLToPath(new URL("../../../test/recordings", import.meta.url))

const kindOf = (frame: Record<string, unknown>): string => {
  const { event, message, subtype, type } = frame
  const content = typeof message === "object" && message !== null ? Reflect.get(message, "content") : undefined
  const blocks = Array.isArray(content) ? content.map((block) => block.type).join() : typeof content
  const inner = typeof event === "object" && event !== null ? Reflect.get(event, "type") : ""
  return [type, subtype, inner, blocks].join(" ")
}

/** Real lines of every kind that the recordings hold, each kind at most a few times. */
export const recordedLines: ReadonlyArray<string> = (() => {
  const taken = new Map<string, number>()
  return readdirSync(folder)
    .flatMap((name) => readFileSync(`${folder}/${name}/stdout.ndjson`, "utf8").split("\n"))
    .filter((line) => {
      if (!line.startsWith("{")) return false
      const kind = kindOf(JSON.parse(line))
      const count = taken.get(kind) ?? 0
      taken.set(kind, count + 1)
      return count < 4
    })
})()

export const recordedFrames: ReadonlyArray<Frame> = recordedLines.map((line) => JSON.parse(line))

/** The whole output of recorded runs, with partial messages, tools, errors and cuts among them. */
export const recordedRuns: ReadonlyArray<ReadonlyArray<Frame>> = readdirSync(folder).sort().map((name) =>
  readFileSync(`${folder}/${name}/stdout.ndjson`, "utf8").split("\n").filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
).filter((frames) => frames.length > 0)
