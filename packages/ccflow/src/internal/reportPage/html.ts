import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import type { ReportData } from "./data.js"

/** The page's own script and style. */
export interface Assets {
  readonly script: string
  readonly style: string
}

/** They lie beside the bundle: only who makes a page reads them. */
export const assets: Effect.Effect<Assets> = Effect.promise(async () => {
  const read = (name: string) => readFile(new URL(`report-page/${name}`, import.meta.url), "utf8")
  const [script, style] = await Promise.all([read("script.js"), read("style.css")])
  return { script, style }
})

/**
 * One file that needs nothing else: its policy allows this one script and this one style, and no request at all. What was
 * said by others is in it as data alone.
 */
export const html = (data: ReportData, { script, style }: Assets): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src ${digest(script)}; style-src ${
    digest(style)
  }; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="ccflow">
<title>ccflow report</title>
<style>${style}</style>
</head>
<body>
<noscript><p>This page needs JavaScript. It loads nothing and sends nothing.</p></noscript>
<div id="page"></div>
<script type="application/json" id="data">${embedded(data)}</script>
<script>${script}</script>
</body>
</html>
`

// ---------------------------------------------------------------------------

const digest = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

/** Without what could end the element that it is in, or a line of it. */
const embedded = (data: ReportData): string =>
  JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )
