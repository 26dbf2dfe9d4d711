import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import type { Assets } from "./html.js"

/** They lie beside the bundle: only who makes a page reads them. */
export const assets: Effect.Effect<Assets> = Effect.promise(async () => {
  const [script, style] = await Promise.all([read("script.js"), read("style.css")])
  return { script, style }
})

// ---------------------------------------------------------------------------

const read = (name: string): Promise<string> => readFile(new URL(`report-page/${name}`, import.meta.url), "utf8")
