import { header, parse, print } from "#cassette/Format"
import { namesOf } from "#cassette/Names"
import { recorderOf } from "#cassette/Recorder"
import { spawn } from "node:child_process"
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { delimiter, dirname } from "node:path"
import { quit } from "./quit.mjs"

/** A signal to the group has reached the CLI already; it was seen to leave within 54 ms. */
const passOnMs = 300
/** For what still comes when the CLI has gone and something of its holds its output. */
const lingerMs = 500
const stderrBytes = 64 * 1024
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]

/** Runs the CLI, and writes down what goes in and out of it. */
export const record = ({ args, cli, file, run, scrub }) => {
  const env = plain(process.env)
  const watched = !(process.stdout.isTTY && !args.some((arg) => ["-p", "--print"].includes(arg)))
  const child = spawn(cli, args, { env, stdio: watched ? "pipe" : "inherit" })
  child.on(
    "error",
    (error) =>
      quit({
        code: error.code === "ENOENT" ? 127 : 126,
        stderr: `Cassette: ${cli} cannot be started: ${error.message}\n`
      })
  )
  if (!watched) {
    for (const name of signals) process.on(name, () => {})
    child.on("exit", (code, signal) => quit({ code, signal }))
    return
  }

  const number = begin(file, run)
  const recorder = recorderOf(number, scrub, namesOf(number, run.ids), () => performance.now())
  const write = (lines) => lines === "" || run.locked(() => appendFileSync(file, lines))
  write(recorder.start({ args, env: Object.keys(env) }))

  let stderr = Buffer.alloc(0)
  const passOn = (from, to, see) => {
    from.on("data", (chunk) => {
      see(chunk)
      if (to.write(chunk)) return
      from.pause()
      to.once("drain", () => from.resume())
    })
    from.on("error", () => {})
    to.on("error", () => from.resume())
  }
  passOn(process.stdin, child.stdin, (chunk) => write(recorder.heard(chunk)))
  passOn(child.stdout, process.stdout, (chunk) => write(recorder.said(chunk)))
  passOn(child.stderr, process.stderr, (chunk) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-stderrBytes)
  })
  process.stdin.on("end", () => {
    write(recorder.eof())
    child.stdin.end()
  })
  for (const name of signals) {
    process.on(name, () => {
      write(recorder.signal(name))
      setTimeout(() => child.kill(name), passOnMs)
    })
  }

  let over = false
  const end = (code, signal) => {
    if (over) return
    over = true
    write(recorder.end({ code, signal, stderr: stderr.toString("utf8"), closed: false }))
    run.locked(() => replace(file, print(parse(readFileSync(file, "utf8")))))
    return quit({ code: code ?? 128 + (constants.signals[signal] ?? 0), signal })
  }
  child.on("close", end)
  child.on("exit", (code, signal) => setTimeout(() => end(code, signal), lingerMs))
}

// The CLI's own: what it starts is not recorded again, and finds the real `claude`.
const plain = ({ CCFLOW_CASSETTE_RUN: folder = "", ...env }) => ({
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CCFLOW_CASSETTE"))),
  ...env.PATH !== undefined &&
    { PATH: env.PATH.split(delimiter).filter((each) => each !== dirname(folder)).join(delimiter) }
})

// Opens the cassette: the first process of a run begins it anew.
const begin = (file, run) =>
  run.locked(() => {
    const number = run.number()
    if (number === 1) {
      mkdirSync(dirname(file), { recursive: true })
      replace(file, header(new Date().toISOString().slice(0, 10), undefined, true))
    }
    return number
  })

/** Never half of it. */
const replace = (file, text) => {
  writeFileSync(`${file}.new`, text, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}
