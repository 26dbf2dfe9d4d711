// The script and the style of the page that `ccflow report` makes, each as one file for a browser.
import { build } from "esbuild"
import { fileURLToPath } from "node:url"

const page = fileURLToPath(new URL("../packages/ccflow/src/internal/reportPage/page", import.meta.url))

/** Into the folder `report-page` of this one: beside the bundle that reads them. Gives what esbuild tells of its inputs. */
export const buildReportPage = async (outdir) => {
  const { metafile } = await build({
    absWorkingDir: page,
    entryPoints: { script: "main.ts", style: "page.css" },
    outdir: `${outdir}/report-page`,
    bundle: true,
    format: "iife",
    platform: "browser",
    target: ["chrome109", "firefox115", "safari16"],
    minify: true,
    metafile: true,
    legalComments: "none",
    logLevel: "warning"
  })
  return metafile
}
