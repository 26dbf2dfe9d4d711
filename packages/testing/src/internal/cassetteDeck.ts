import type { Match } from "../Cassette.js"
import { kindOf, sameFlags, told } from "./cassetteArgs.js"
import type { Take, Tape } from "./cassetteFormat.js"
import { Bindings, difference, fits } from "./cassetteMatch.js"
import { Player } from "./cassettePlayer.js"
import { type Scrub, scrubArgs } from "./cassetteScrub.js"

/** Which processes are played already. */
export interface Claims {
  readonly taken: (number: number) => boolean
  /** `false` when somebody else has it. */
  readonly claim: (number: number) => boolean
}

/** Within one program. Real processes share them by other means. */
export const ownClaims = (): Claims => {
  const numbers = new Set<number>()
  const taken = (number: number) => numbers.has(number)
  return { taken, claim: (number) => !taken(number) && numbers.add(number).has(number) }
}

/** A cassette from which processes are played, each once. */
export const deckOf = ({ takes }: Tape, compared: Match, claims: Claims) => {
  /** What was asked that the recording does not have, as the program was told. */
  const mismatches: Array<string> = []

  const unplayed = () => takes.filter(({ number }) => !claims.taken(number))

  const left = (args: ReadonlyArray<string>): ReadonlyArray<Take> => {
    const now = told(args)
    return unplayed().filter(({ start }) =>
      kindOf(told(start.args)) === kindOf(now) && fits(told(start.args).words, now.words, new Bindings())
    )
  }

  const candidatesFor = (args: ReadonlyArray<string>): ReadonlyArray<Take> => {
    const modelOf = (given: ReadonlyArray<string>) => told(given).flags.get("model")?.at(-1)
    const alike = ({ start }: Take) => sameFlags(start.args, args)
    const likely = left(args).filter((take) =>
      (compared.model !== true || modelOf(take.start.args) === modelOf(args)) &&
      (compared.flags !== true || alike(take))
    )
    return [...likely.filter(alike), ...likely.filter((take) => !alike(take))]
  }

  const whyNone = (args: ReadonlyArray<string>): string => {
    const [take] = left(args)
    if (take !== undefined) {
      return `${difference([...take.start.args].sort().join("\n"), [...args].sort().join("\n"))}\n` +
        `Cassette: process ${take.number}: the recording has other flags.\n`
    }
    const rest = unplayed()
    const all = takes.length === 1 ? "1 process, which has" : `${takes.length} processes, which have all`
    if (rest.length === 0) return `Cassette: it has ${all} been played, and one more was started.\n`
    return `${difference(rest.map(({ start }) => start.args.join(" ")).join("\n"), args.join(" "))}\n` +
      "Cassette: the recording has no process like this one left.\n"
  }

  /** A process, or why there is none for these arguments. */
  const open = (given: ReadonlyArray<string>, scrub: Scrub): Player | string => {
    const args = scrubArgs(given, scrub.text)
    const candidates = () => candidatesFor(args)
    const [first] = candidates()
    if (first === undefined) {
      // A session comes back in another process: what ended the one before is what matters.
      const why = [whyNone(args), ...mismatches.slice(0, 1)].join("Before that:\n")
      mismatches.push(why)
      return why
    }
    return new Player({
      args,
      scrub,
      strict: compared.flags === true,
      candidates,
      claim: ({ number }) => claims.claim(number),
      complain: (mismatch) => mismatches.push(mismatch)
    }, first)
  }

  return { mismatches, unplayed, open }
}

export type Deck = ReturnType<typeof deckOf>
