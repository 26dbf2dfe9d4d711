import type { QueryOptions } from "../AgentOptions.js"

/** The id of the session that is asked for. Empty where the CLI chooses it, or knows it by a title. @internal */
export const sessionOf = ({ forkSession, resume, sessionId }: QueryOptions): string =>
  sessionId ?? (forkSession === true ? "" : resume ?? "")

/** Without what says which session it is to be. @internal */
export const withoutIdentity = <Options extends QueryOptions>(options: Options) => {
  const { continueSession, forkSession, resume, resumeDropsTurn, resumeSessionAt, sessionId, ...rest } = options
  return rest
}
