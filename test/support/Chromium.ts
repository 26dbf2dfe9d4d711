import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]

const executable = [process.env["CHROMIUM_PATH"] ?? "", ...places].find((path) => path !== "" && existsSync(path))

/** Why there is no browser to test in, if there is none. `scripts/browser.mjs` gets one where it may. */
export const noChromium: string | undefined = executable === undefined
  ? `no Chromium at ${places.join(", ")} or CHROMIUM_PATH`
  : undefined

/** Without a window, and without a word to anybody. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({
    ...executable === undefined ? {} : { executablePath: executable },
    headless: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--no-first-run"
    ]
  })
