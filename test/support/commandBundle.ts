import { join } from "node:path"
import { buildReportPage } from "../../scripts/report-page.mjs"
import { bundle } from "./bundle.js"

/** The `ccflow` command as it is published: what a subcommand alone needs is loaded when it runs. */
export const commandBundle = async (): Promise<string> =>
  join(await bundle("command", { main: "packages/ccflow/src/main.ts" }, buildReportPage), "main.mjs")
