import type { Metafile } from "esbuild"

export declare const buildReportPage: (outdir: string) => Promise<Metafile>
