import { deckOf } from "#cassette/Deck"
import { parse } from "#cassette/Format"
import { readFileSync } from "node:fs"
import { quit } from "./quit.mjs"

/** Plays a process of the cassette on stdin and stdout. */
export const play = async ({ args, file, match, run, scrub, timed }) => {
  const refuse = (why) => quit({ code: 1, stderr: `${why.trimEnd()}\n` })
  let tape
  try {
    tape = parse(readFileSync(file, "utf8"))
  } catch (error) {
    return refuse(
      error.code === "ENOENT"
        ? `Cassette: there is no file ${file}. Record it first: ccflow record ${file} -- …`
        : `Cassette: ${file}: ${error.message}`
    )
  }
  const deck = deckOf(tape, { model: match.includes("model"), flags: match.includes("flags") }, run.claims)
  const player = deck.open(args, scrub)
  let told = 0
  const complain = () => {
    while (told < deck.mismatches.length) run.complain(deck.mismatches[told++])
  }
  complain()
  if (typeof player === "string") return refuse(player)

  let playing = false
  const go = async () => {
    if (playing) return
    playing = true
    for (let step = player.next(); step !== undefined; step = player.next()) {
      complain()
      if (timed && step.wait > 0) await new Promise((done) => setTimeout(done, step.wait))
      if (step._tag === "End") return quit(step)
      if (!process.stdout.write(step.text)) await new Promise((done) => process.stdout.once("drain", done))
    }
    playing = false
  }

  process.stdout.on("error", () => {})
  process.on("SIGINT", () => {
    player.signal()
    void go()
  })
  process.on("SIGTERM", () => quit({ code: 143 }))
  process.on("SIGHUP", () => quit({ code: 129 }))
  process.stdin.on("data", (chunk) => {
    player.heard(chunk)
    void go()
  })
  process.stdin.on("end", () => {
    player.eof()
    void go()
  })
  process.stdin.on("error", () => {})
  // Also without a reader of its words it goes on, as the CLI does.
  setInterval(() => {}, 2 ** 30)
  await go()
}
