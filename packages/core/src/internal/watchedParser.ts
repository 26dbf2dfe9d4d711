import type { Message } from "../Message.js"
import type { Parser } from "../MessageParser.js"

/** The same parser, of which somebody sees each batch before it is handed on. */
export const watched = (
  parser: Parser,
  see: (batch: ReadonlyArray<Message>) => ReadonlyArray<Message>
): Parser => ({
  counts: parser.counts,
  takeControl: () => parser.takeControl(),
  unfinished: () => parser.unfinished?.() ?? [],
  push: (chunks) => see(parser.push(chunks)),
  end: () => see(parser.end())
})
