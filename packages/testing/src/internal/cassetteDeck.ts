import type { Match } from "../Cassette.js"
import { kindOf, told } from "./cassetteArgs.js"
import type { Take, Tape } from "./cassetteFormat.js"
import { Bindings, difference, fits } from "./cassetteMatch.js"
import { Player, sameFlags } from "./cassettePlayer.js"
import { type Scrub, scrubArgs } from "./cassetteScrub.js"

/** Which processes are played already, within one program. Real processes share it by other means. */
export class Claims {
  private readonly numbers = new Set<number>()

  /** `false` when somebody else has it. */
  claim(number: number): boolean {
    return !this.taken(number) && this.numbers.add(number).has(number)
  }

  taken(number: number): boolean {
    return this.numbers.has(number)
  }
}

/** A cassette from which processes are played, each once. */
export class Deck {
  /** What was asked that the recording does not have, as the program was told. */
  readonly mismatches: Array<string> = []
  opened = 0
  private readonly tape: Tape
  private readonly compared: Match
  private readonly claims: Pick<Claims, "claim" | "taken">

  constructor(tape: Tape, compared: Match, claims: Pick<Claims, "claim" | "taken">) {
    this.tape = tape
    this.compared = compared
    this.claims = claims
  }

  /** The processes that nobody has asked for. */
  get unplayed(): ReadonlyArray<number> {
    return this.tape.takes.flatMap(({ number }) => this.claims.taken(number) ? [] : [number])
  }

  /** A process, or why there is none for these arguments. */
  open(given: ReadonlyArray<string>, scrub: Scrub): Player | string {
    this.opened++
    const args = scrubArgs(given, scrub.text)
    const candidates = () => this.candidates(args)
    const [first] = candidates()
    if (first === undefined) {
      // A session comes back in another process: what ended the one before is what matters.
      const why = [this.whyNone(args), ...this.mismatches.slice(0, 1)].join("Before that:\n")
      this.mismatches.push(why)
      return why
    }
    return new Player(args, {
      scrub,
      strict: this.compared.flags === true,
      candidates,
      claim: ({ number }) => this.claims.claim(number),
      complain: (mismatch) => this.mismatches.push(mismatch)
    }, first)
  }

  private candidates(args: ReadonlyArray<string>): ReadonlyArray<Take> {
    const likely = this.left(args).filter((take) => this.demanded(take, args))
    return [...likely.filter((take) => sameFlags(take, args)), ...likely.filter((take) => !sameFlags(take, args))]
  }

  private left(args: ReadonlyArray<string>): ReadonlyArray<Take> {
    const now = told(args)
    return this.tape.takes.filter(({ number, start }) =>
      !this.claims.taken(number) && kindOf(told(start.args)) === kindOf(now) &&
      fits(told(start.args).words, now.words, new Bindings())
    )
  }

  private demanded(take: Take, args: ReadonlyArray<string>): boolean {
    const [then, now] = [told(take.start.args).flags, told(args).flags]
    return (this.compared.model !== true || then.get("model")?.at(-1) === now.get("model")?.at(-1)) &&
      (this.compared.flags !== true || sameFlags(take, args))
  }

  private whyNone(args: ReadonlyArray<string>): string {
    const [take] = this.left(args)
    if (take !== undefined) {
      return `${difference([...take.start.args].sort().join("\n"), [...args].sort().join("\n"))}\n` +
        `Cassette: process ${take.number}: the recording has other flags.\n`
    }
    const { takes } = this.tape
    const rest = takes.filter(({ number }) => !this.claims.taken(number))
    const all = takes.length === 1 ? "1 process, which has" : `${takes.length} processes, which have all`
    if (rest.length === 0) return `Cassette: it has ${all} been played, and one more was started.\n`
    return `${difference(rest.map(({ start }) => start.args.join(" ")).join("\n"), args.join(" "))}\n` +
      "Cassette: the recording has no process like this one left.\n"
  }
}
