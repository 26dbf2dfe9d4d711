#!/usr/bin/env node
/*
cassette-claude: stands for the `claude` executable. It records what a program and the real CLI say to each other, or plays
what was recorded, for any program that starts `claude`: set the path of the CLI to it.

  CCFLOW_CASSETTE         the file. Required.
  CCFLOW_CASSETTE_MODE    replay (default), record, or auto: replay where the file is, else record
  CCFLOW_CASSETTE_CLI     the CLI that is recorded; default: claude
  CCFLOW_CASSETTE_TIME    instant (default), or recorded: waits as the CLI did
  CCFLOW_CASSETTE_MATCH   what must be as it was, beside prompts and answers: model, flags, or both with a comma
  CCFLOW_CASSETTE_REDACT  a module whose default export goes over every text before the other rules: (text) => text
  CCFLOW_CASSETTE_RUN     an empty folder for what the processes of one run must know of each other. Without it each is
                          recorded into a file of its own, and each is played from the whole cassette

RECORDING: the CLI runs as a child in the same process group, so that signals to the group reach it; one to this process
alone is passed on. It ends as the CLI does, with the same code or signal. Where nobody looks at the output but a person,
there is nothing that could be played: the CLI then runs unrecorded.
PLAYING: whatever the cassette does not have ends it with 1, and stderr says what is different.
*/
import { scrubber } from "#cassette/Scrub"
import { isSecretName } from "@ccflow/core/Redaction"
import { existsSync, realpathSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { play } from "./cassette-claude/play.mjs"
import { quit } from "./cassette-claude/quit.mjs"
import { record } from "./cassette-claude/record.mjs"
import { openRun } from "./cassette-claude/run.mjs"

const {
  CCFLOW_CASSETTE: given = "",
  CCFLOW_CASSETTE_CLI: cli = "claude",
  CCFLOW_CASSETTE_MATCH: match = "",
  CCFLOW_CASSETTE_MODE: mode = "replay",
  CCFLOW_CASSETTE_REDACT: rules = "",
  CCFLOW_CASSETTE_RUN: folder = "",
  CCFLOW_CASSETTE_TIME: time = "instant"
} = process.env

const refusal = given === ""
  ? "CCFLOW_CASSETTE names no file"
  : !["replay", "record", "auto"].includes(mode)
  ? "CCFLOW_CASSETTE_MODE must be one of replay, record, auto"
  : !["instant", "recorded"].includes(time)
  ? "CCFLOW_CASSETTE_TIME must be one of instant, recorded"
  : undefined
if (refusal !== undefined) await quit({ code: 2, stderr: `Cassette: ${refusal}.\n` })

const file = resolve(given)
/** A place by each of its names. */
const both = (path) => existsSync(path) ? [...new Set([path, realpathSync(path)])] : [path]
const scrub = scrubber({
  homes: both(homedir()),
  cwds: both(process.cwd()),
  tmps: both(tmpdir()),
  secrets: Object.entries(process.env).flatMap(([name, value]) => isSecretName(name) ? [value] : []),
  redact: rules === "" ? undefined : (await import(pathToFileURL(resolve(rules)).href)).default
})
const setting = { file, args: process.argv.slice(2), run: openRun(folder), scrub }
if (mode === "record" || mode === "auto" && !existsSync(file)) record({ ...setting, cli })
else play({ ...setting, timed: time === "recorded", match: match.split(",") })
