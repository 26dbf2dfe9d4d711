// What leaves the process: bytes, frames, and its end.
import { closeSync, openSync, writeSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { flags, script } from "./state.mjs"

export const attempt = (run, failed) => {
  try {
    return run()
  } catch (error) {
    return failed(error)
  }
}

/** Closes a stream in a way that no later file gets its number. */
export const toNull = (fd, mode) => {
  closeSync(fd)
  openSync("/dev/null", mode)
}

// Bytes leave by writeSync, in order. A full pipe is tried again from the event loop, so signals still act.
const sink = (fd, faults) => {
  const queue = []
  let [sent, gone, waiting] = [0, false, false]
  const put = () => {
    const { crashAfterBytes = Infinity } = faults
    const n = writeSync(fd, queue[0].subarray(0, crashAfterBytes - sent))
    if ((sent += n) === crashAfterBytes) process.kill(process.pid, "SIGKILL")
    if (n === queue[0].length) queue.shift()
    else queue[0] = queue[0].subarray(n)
  }
  const fail = ({ code }) => {
    waiting = code === "EAGAIN"
    gone = !waiting
    if (waiting) setTimeout(pump, 1)
    else if (faults.exitOnEpipe !== undefined) process.exit(faults.exitOnEpipe)
  }
  const pump = () => {
    for (waiting = false; queue.length > 0 && !gone && !waiting;) attempt(put, fail)
  }
  const busy = () => queue.length > 0 && !gone
  const drain = async () => {
    while (busy()) await sleep(1)
  }
  return {
    write: (data) => {
      if (data.length === 0 || gone) return
      queue.push(Buffer.from(data))
      if (!waiting) pump()
    },
    flush: () => busy() ? drain() : undefined,
    close: () => {
      if (!gone) toNull(fd, "w")
      gone = true
    }
  }
}
export const err = sink(2, {})
export const out = sink(1, script)

const escape = (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
export const lineOf = (frame) => `${JSON.stringify(frame).replace(/[\u007f-\u009f\u2028\u2029]/g, escape)}\n`

const collected = []
/** Prints the frame as a line, or keeps it for the end where the output is not a stream. */
export const emit = (frame) => {
  if (flags.get("output-format") === "stream-json") out.write(lineOf(frame))
  else collected.push(frame)
}

export const die = (code, message) => {
  err.write(`${message}\n`)
  process.exit(code)
}
export const refuse = (when, why) => when && die(1, `Error: ${why}`)

export const quit = async (code) => {
  const last = collected.findLast(({ type }) => type === "result")
  const format = flags.get("output-format") ?? "text"
  if (last && format === "text") out.write(`${last.result ?? last.errors?.join("\n")}\n`)
  if (last && format === "json") out.write(lineOf(flags.has("verbose") ? collected : last))
  await out.flush()
  await err.flush()
  process.exit(code)
}
