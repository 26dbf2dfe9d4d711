/** What could steer a terminal is left out: the words of models and tools are not ours. */
export const printable = (text: string): string => text.replace(/(?![\n\t])\p{Cc}/gu, "")

/** One line, also without what hides or turns around what is read. */
export const oneLine = (text: string): string =>
  text.replace(/\s+/g, " ").replace(/[\p{Cc}\p{Zl}\p{Zp}]|(?!\u200D)\p{Cf}/gu, "").trim()
