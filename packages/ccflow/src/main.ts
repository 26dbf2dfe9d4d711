#!/usr/bin/env node
import { version } from "./internal/version.js"

// Programs ask for it, and are not to wait for all the rest to be loaded.
if (process.argv.length === 3 && process.argv[2] === "--version") console.log(version)
else await import("./internal/program.js")
