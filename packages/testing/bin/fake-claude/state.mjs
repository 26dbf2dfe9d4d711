// What the modules share: the script and the command line, read once at the start, and what changes as it runs.
export const script = { version: "2.1.330" }
export const flags = new Map()
export const prompts = []
/**
 * `turns` of the script that are used up; `began`, when the turn did; `working`; `reading`, `eof` and `deaf` of stdin;
 * `child`, the pid of the last grandchild.
 */
export const state = { turns: 0, began: Date.now() }
