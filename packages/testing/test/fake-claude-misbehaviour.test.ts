import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { cleanUp, isAlive, kinds, newPath, parse, run, sleep, start, strays, turn, until, user } from "./fakeClaude.js"

cleanUp()

describe("misbehaviour", () => {
  it("exit: with a code, in the middle of a turn and of a line", async () => {
    const { code, stdout } = await turn([{ raw: "{\"half\":" }, { exit: 42 }, { emit: { never: 1 } }])
    expect([code, stdout.toString()]).toEqual([42, "{\"half\":"])
  })

  it.each(["SIGKILL", "SIGTERM", "SIGSEGV"] as const)("kill: %s after half a line", async (name) => {
    const { signal, stdout } = await turn([{ raw: "{\"half\":" }, { kill: name }, { sleepForever: true }])
    expect([signal, stdout.toString()]).toEqual([name, "{\"half\":"])
  })

  it.each([0, 1, 17, 5000, 200_000])("crashAfterBytes: %i", async (crashAfterBytes) => {
    const script = { crashAfterBytes, turns: [[{ init: {} }, { text: "é".repeat(500) }, { floodStdout: 300_000 }]] }
    const { signal, stdout } = await run({ script }, user("x"))
    expect([signal, stdout.length]).toEqual(["SIGKILL", crashAfterBytes])
  })

  it("delay: waits; sleepForever: outlives EOF", async () => {
    const process = start({
      script: { turns: [[{ emit: { n: 1 } }, { delay: 60 }, { emit: { n: 2 } }, { sleepForever: true }]] }
    })
    process.send(user("x"))
    process.child.stdin.end()
    await until(() => process.text().includes("\"n\":1"))
    const began = performance.now()
    await until(() => process.text().includes("\"n\":2"))
    expect(performance.now() - began).toBeGreaterThan(30)
    await sleep(60)
    expect(process.child.exitCode).toBeNull()
  })

  it("signals: ignored, or answered by steps", async () => {
    const signals = { SIGINT: "ignore", SIGTERM: [{ emit: { got: "SIGTERM" } }], SIGHUP: [{ exit: 9 }] }
    const process = start({ script: { signals, start: [{ emit: { type: "up" } }] } })
    await process.take("up")
    process.child.kill("SIGINT")
    process.child.kill("SIGTERM")
    await until(() => process.text().includes("SIGTERM"))
    expect(process.child.exitCode).toBeNull()
    process.child.kill("SIGHUP")
    expect(await process.closed).toMatchObject({ code: 9 })
  })

  it("grandchild: keeps stdout open and stays in the group, also deaf to signals", async () => {
    const path = newPath()
    const process = start({
      script: { start: [{ grandchild: { holdStdout: true, seconds: 60, writePid: path, ignoreSignals: true } }] }
    })
    process.child.stdin.end()
    expect(await process.exited).toBe(0)
    const pid = Number(readFileSync(path, "utf8"))
    strays.add(pid)
    const group = (of: number) => readFileSync(`/proc/${of}/stat`, "utf8").split(") ")[1]!.split(" ")[2]
    expect(group(pid)).toBe(group(globalThis.process.pid))
    await until(() => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("sleep"))
    globalThis.process.kill(pid, "SIGTERM")
    globalThis.process.kill(pid, "SIGINT")
    await sleep(50)
    expect(isAlive(pid)).toBe(true)
    let closed = false
    void process.closed.then(() => closed = true)
    await sleep(20)
    expect(closed).toBe(false)
    globalThis.process.kill(pid, "SIGKILL")
    expect(await process.closed).toMatchObject({ code: 0 })
  })

  it("closeStdout: the reader sees the end, the process lives on", async () => {
    const process = start({
      script: { start: [{ emit: { n: 1 } }, { closeStdout: true }, { emit: { n: 2 } }, { stderr: "alive" }] }
    })
    await new Promise((done) => process.child.stdout.on("end", done))
    await until(() => process.stderr() === "alive")
    expect(process.child.exitCode).toBeNull()
    expect(await process.end()).toMatchObject({ code: 0, frames: [{ n: 1 }] })
  })

  it.each(["start", "turns"])("closeStdin in %s: the writer gets EPIPE, the process lives on", async (where) => {
    const steps = [{ closeStdin: true }, { emit: { type: "closed" } }]
    const process = start({ script: where === "start" ? { start: steps } : { turns: [steps] } })
    if (where === "turns") process.send(user("x"))
    await process.take("closed")
    process.send(user("y"))
    await until(() => process.writeErrors.length > 0)
    expect(process.writeErrors[0]).toMatch(/EPIPE|ECONNRESET/)
    await sleep(30)
    expect([process.child.exitCode, kinds(parse(process.text()))]).toEqual([null, ["closed"]])
  })

  it.each(["start", "turns"])("ignoreStdin in %s: reads no more, so that the writer's pipe fills", async (where) => {
    const steps = [{ ignoreStdin: true }, { emit: { type: "deaf" } }]
    const process = start({ script: where === "start" ? { start: steps } : { turns: [steps] } })
    if (where === "turns") process.send(user("x"), user("y"))
    await process.take("deaf")
    process.child.stdin.write("not JSON, would end it\n".repeat(40_000))
    process.child.stdin.end()
    await sleep(60)
    expect(process.child.stdin.writableLength).toBeGreaterThan(0)
    expect([process.child.exitCode, kinds(parse(process.text()))]).toEqual([null, ["deaf"]])
  })

  it.each([[undefined, 3], [5, 5]] as const)(
    "a reader that goes away: exitOnEpipe %j exits %i",
    async (exitOnEpipe, code) => {
      const script = { onEof: [{ exit: 3 }], ...(exitOnEpipe !== undefined && { exitOnEpipe }) }
      const process = start({ script, readStdout: false })
      process.child.stdout.destroy()
      process.send(user("one"), user("two"))
      process.child.stdin.end()
      expect(await process.exited).toBe(code)
    }
  )
})
