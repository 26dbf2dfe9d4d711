import * as ContextEncoder from "@ccflow/core/ContextEncoder"
import * as Either from "effect/Either"
import { markdown } from "../report.js"
import { shapes } from "../shapes.js"
import type { Count } from "./benchmark.js"

const number = (value: number): string => value.toLocaleString("en")

const row = (name: string, data: unknown): ReadonlyArray<string> => {
  const { format, jsonTokens, savedTokens, toonTokens } = Either.getOrThrow(ContextEncoder.encode(data))
  const bytes = (text: string) => number(Buffer.byteLength(text))
  const saved = Math.round(savedTokens / jsonTokens * 100)
  return [
    name,
    number(jsonTokens),
    number(toonTokens),
    `${saved} %`,
    bytes(JSON.stringify(data)),
    bytes(Either.getOrThrow(ContextEncoder.toToon(data))),
    format === "toon" ? "TOON" : "JSON"
  ]
}

/** The same on every machine. */
export const toon: Count = {
  name: "toon",
  table: () =>
    markdown(
      ["data", "JSON tokens", "TOON tokens", "TOON saves", "JSON bytes", "TOON bytes", "sent"],
      shapes.map(({ data, name }) => row(name, data))
    )
}
