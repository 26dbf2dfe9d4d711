#!/usr/bin/env node
/*
fake-claude: a stand-in for the `claude` executable. It speaks the CLI's stream-json protocol and misbehaves by script.
Call it as `claude`: `-p --input-format=stream-json --output-format=stream-json --verbose`, or one-shot with the prompt
as argument or on stdin and text, json or stream-json output. `--flag value` is the same as `--flag=value`.

SCRIPT: JSON in env FAKE_CLAUDE_SCRIPT, inline if it starts with { or [, else a path. Without one it behaves well: a
prompt gets init, the text "echo: <prompt>" and a success result. A wrong script: exit 2, and stderr names the field.
  [[step, ...], ...]  a list of steps per prompt, in order; or an object, every field optional:
  turns               the same list. Once used up, the well-behaved turn answers, or nothing if `echo: false`
  match               [{ prompt, steps }]: a prompt containing the text `prompt` runs these steps and uses up no turn
  start, onEof        steps run before stdin is read; at stdin EOF, when the work is done
  onInitialize        steps run when `initialize` arrives, before its reply; onControl: { <subtype>: steps } for any
  signals             { SIGINT: "ignore" | steps } instead of the default (SIGINT ends turn and process with 0, SIGTERM
                      143, SIGHUP 129). From `start` on; a signal during Node's own start-up still kills
  crashAfterBytes     n: SIGKILLs itself right after byte n of stdout (0: at once)
  exitOnEpipe         code: exits when stdout's reader is gone, otherwise it goes on and writes nowhere
  rejectFlags         "unknown option", exit 1: true for every flag the CLI has not, or a list such as ["--effort"]
  unknownSessions     true or a list of ids: --resume fails as for an id without a conversation
  coalesce            true: prompts queued behind a running turn share one turn and one result, as in the real CLI
  lifecycle           false: no command_lifecycle lines for user lines with a uuid
  version             what --version and init say, by default "2.1.330"; "2.1.197" has no command_lifecycle, no
                      user_message_uuids, no capabilities, and its cost starts again at 0 in a resumed process
  memory              a folder that keeps each session's prompts: $MEMORY counts them, also after --resume and
                      --fork-session; a uuid in it is not run again; --resume of another session is not found
  { counter: "path", runs: [script, ...] }  the n-th process takes the n-th script, then the last. Makes path.0 ...

STEPS
  { emit: frame }                one line, exactly this frame             { echo: true }  the well-behaved turn
  { raw: "text" } { rawBase64 }  bytes as they are, no newline            { init: { ...overrides } }  system/init
  { text: "...", deltas: 3, deltaDelay: 0 }  an assistant message; with --include-partial-messages also status and its
                                 stream events. deltaDelay: ms before each delta (an interrupt keeps what is out)
  { result: { ...overrides } }   the turn's result; with a subtype error_* it has `errors` instead of `result`
  { error: { status, type, message, category, apiError } }  synthetic assistant and is_error result of an API error
  { tool: { name, input, ms: 0, result: "", isError, steps } }  a tool call that lasts ms, and its result; prompts that
                                 wait by then join the turn. steps: run while it runs
  { background: steps, ms: 0 }   work that ends after ms; then the steps are a turn of the CLI's own
  { askPermission: { tool, input } | [...] }  tool_use, can_use_tool (a list asks all at once), waits, then tool_result
  { request: { subtype, ... }, to: "file" }   any control request to the host; waits; the answer is $ANSWER and in `to`
  { reply: { ...overrides } | false }         in onInitialize/onControl: act and reply now, or do neither
  { stderr: "text" } { floodStderr: bytes }   { floodStdout: bytes }: valid lines, exactly so many bytes (at least 200)
  { delay: ms } { sleepForever: true }        both end by interrupt and by SIGINT
  { repeat: n, step | steps }    { exit: code }          { kill: "SIGKILL" }: itself, by any signal; SIGSTOP freezes it
  { grandchild: { holdStdout, holdStderr, seconds: 60, writePid: "file", ignoreSignals } }  `sleep` in the same group
  { closeStdout: true }          the reader sees EOF, the process lives on
  { closeStdin: true }           the writer gets EPIPE; no EOF is ever seen, end with exit
  { ignoreStdin: true }          reads nothing more; in `start`: nothing at all
  { writeFile: { path, content } }            { readEnv: ["NAME"], to: "file" }: { env, argv, cwd, pid } as JSON
  { tell: { env: ["NAME"], files: ["path"], alive: [pid] } }  the same as a line of type `told`, with what the files
                                 hold and which of the processes live
The prompt /clear starts a new conversation and takes none of the turns. Control requests of a session are answered.
Strings may hold $PROMPT $MEMORY $SESSION $MODEL $CWD $PID $CHILD (the last grandchild) $UUID (new each time) $USER_UUID
(of the prompt's line) $TURN $N (index of turn and innermost repeat) $REQUEST (request_id, in onControl) $ANSWER;
$$PROMPT stays $PROMPT.
EXIT: at stdin EOF after the running work; 1 if the last result was is_error, else 0. A bad stdin line: stderr, 1.
*/
import { checkFlags, readCommandLine } from "./fake-claude/commandLine.mjs"
import { readLines, readPrompt } from "./fake-claude/input.mjs"
import { die, err, out, quit } from "./fake-claude/output.mjs"
import { loadScript } from "./fake-claude/script.mjs"
import { dialogue, exists, open, session } from "./fake-claude/session.mjs"
import { flags, script, state } from "./fake-claude/state.mjs"
import { runSteps } from "./fake-claude/steps.mjs"
import { ABORTED, aside } from "./fake-claude/turn.mjs"

void [process.stdout, process.stderr] // their creation makes a pipe non-blocking; Node restores that at exit
setInterval(() => {}, 2 ** 30)
for (const kind of ["uncaughtException", "unhandledRejection"]) {
  process.on(kind, (error) => error === ABORTED || die(2, `fake-claude: ${error?.stack ?? error}`))
}
loadScript(process.env.FAKE_CLAUDE_SCRIPT)
readCommandLine()
open()

const onSignals = {
  SIGINT: () => {
    dialogue.questions.withdraw()
    return dialogue.turn ? dialogue.turn.stop("SIGINT") : quit(0)
  },
  SIGTERM: () => process.exit(143),
  SIGHUP: () => process.exit(129)
}
for (const [name, rule] of Object.entries({ ...onSignals, ...script.signals })) {
  process.on(name, typeof rule === "function" ? rule : () => rule === "ignore" || runSteps(rule, aside()))
}

if (script.crashAfterBytes === 0) process.kill(process.pid, "SIGKILL")
if (flags.has("version")) {
  out.write(`${script.version} (fake-claude)\n`)
  await quit(0)
}
checkFlags()
await runSteps(script.start ?? [], aside())

const [resume, { unknownSessions }] = [flags.get("resume"), script]
if (resume && (unknownSessions === true || unknownSessions?.includes(resume) || !exists(resume))) {
  const why = `No conversation found with session ID: ${resume}`
  err.write(`${why}\n`)
  dialogue.result({ subtype: "error_during_execution", errors: [why], num_turns: 0, session_id: resume })
  await quit(1)
}
session.recall()
state.reading = !state.deaf
if (flags.get("input-format") !== "stream-json") await readPrompt()
else if (!state.deaf) readLines()
