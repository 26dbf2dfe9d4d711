/** Who a fake CLI is: what its flags and variables say of how it talks. */
export class Session {
  /** Whether any prompt had a uuid; where none has, a program attributes everything to the one turn that it knows of. */
  named = false
  /** How many were printed. */
  results = 0

  /**
   * @param {object} given
   * @param {(name: string) => string | true | undefined} given.flag By its name without dashes.
   * @param {Readonly<Record<string, string | undefined>>} given.env
   * @param {string} given.version
   * @param {number} given.pid
   * @param {string} given.id For a session that the flags do not name.
   * @param {(name?: string) => string} given.model What the model of the flags is called in the API.
   */
  constructor({ env, flag, id, model, pid, version }) {
    const valueOf = (/** @type {string} */ name) => {
      const value = flag(name)
      return value === true ? undefined : value
    }
    const mode = valueOf("permission-mode")
    const skips = flag("dangerously-skip-permissions") !== undefined
    this.pid = pid
    this.version = version
    /** Whether this is the newer of the two versions. */
    this.modern = version !== "2.1.197"
    this.partial = flag("include-partial-messages") !== undefined
    this.replays = flag("replay-user-messages") !== undefined
    this.tellsState = env["CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS"] === "1"
    this.tellsLife = this.modern
    this.keepsFiles = Boolean(env["CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING"])
    this.mode = skips ? "bypassPermissions" : mode ?? "default"
    this.mayBypass = skips || flag("allow-dangerously-skip-permissions") !== undefined || mode === "bypassPermissions"
    this.resumed = valueOf("resume")
    this.id = valueOf("session-id") ?? (flag("fork-session") === undefined ? this.resumed : undefined) ?? id
    this.model = model(valueOf("model"))
  }
}
