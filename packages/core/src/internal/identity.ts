import type { QueryOptions } from "../AgentOptions.js"

/** The id of the session that is asked for. Empty where the CLI chooses it, or knows it by a title. */
export const sessionOf = ({ forkSession, resume, sessionId }: QueryOptions): string =>
  sessionId ?? (forkSession === true ? "" : resume ?? "")

/** With an id that is chosen here, where the CLI would choose it. */
export const named = (options: QueryOptions): QueryOptions =>
  options.sessionId !== undefined || options.continueSession === true ||
    (options.resume !== undefined && options.forkSession !== true)
    ? options
    : { ...options, sessionId: crypto.randomUUID() }

/** Without what says which session it is to be. */
export const withoutIdentity = <Options extends QueryOptions>(options: Options) => {
  const { continueSession, forkSession, resume, resumeDropsTurn, resumeSessionAt, sessionId, ...rest } = options
  return rest
}
