import { spawn } from "node:child_process"

interface Line {
  readonly type: string
  readonly subtype?: string
}

declare global {
  interface Buffer {
    /** What `toString` comes to, without its looking at the encoding. */
    utf8Slice(start: number, end: number): string
  }
}

const newline = 0x0a

/** The least that reading the CLI can cost: split at newlines in the bytes, parse, hand on. */
export const floorParser = (onLine: (line: Line) => void): (chunk: Buffer) => void => {
  let carry: Array<Buffer> = []
  return (chunk) => {
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      let text: string
      if (carry.length === 0) text = chunk.utf8Slice(from, end)
      else {
        text = Buffer.concat([...carry, chunk.subarray(from, end)]).toString()
        carry = []
      }
      const line: Line = JSON.parse(text)
      onLine(line)
      from = end + 1
    }
    if (from < chunk.length) carry.push(chunk.subarray(from))
  }
}

export const args = ["-p", "--input-format=stream-json", "--output-format=stream-json", "--verbose"]

export const userLine = (prompt: string): string =>
  `${
    JSON.stringify({
      type: "user",
      message: { role: "user", content: prompt },
      parent_tool_use_id: null,
      session_id: ""
    })
  }\n`

/** One prompt with nothing but `node:child_process`, by the same lines as the library's. */
export const rawQuery = (
  cli: string,
  prompt: string,
  onLine: (line: Line) => void,
  extra: ReadonlyArray<string> = []
): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(cli, [...args, ...extra], { stdio: "pipe" })
    const push = floorParser((line) => {
      onLine(line)
      if (line.type === "result") child.stdin.end()
    })
    child.stdout.on("data", push)
    child.stderr.resume()
    child.on("error", reject)
    child.on("close", (code) => code === 0 ? resolve() : reject(new Error(`exit ${code}`)))
    child.stdin.write(userLine(prompt))
  })
