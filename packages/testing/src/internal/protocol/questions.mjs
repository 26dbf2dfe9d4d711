import { fieldsOf } from "./turn.mjs"
/** @import { Frame } from "../../FakeCli.js" */
/** @import { Dialogue } from "./dialogue.mjs" */
/** @import { Answer, Fields } from "./types.js" */

/** What a CLI asks the program: whether a tool may run, its hooks, the tools that it serves. */
export class Questions {
  /** Who waits for the answers, by the ids of the requests. @type {Map<string, (response: Fields) => void>} */
  #open = new Map()
  #closed = false

  /** @param {Dialogue<never>} dialogue */
  constructor(dialogue) {
    this.dialogue = dialogue
  }

  /** @param {Fields} request @param {(response: Fields) => void} tell */
  ask(request, tell) {
    if (this.#closed) return tell(gone)
    const id = this.dialogue.newId("ask")
    this.#open.set(id, tell)
    this.dialogue.line({ type: "control_request", request_id: id, request })
  }

  /** An answer comes in. It is repeated where prompts are. @param {Frame} frame */
  answer(frame) {
    const response = fieldsOf(frame["response"])
    const tell = this.#open.get(String(response["request_id"]))
    if (tell === undefined) return
    this.#open.delete(String(response["request_id"]))
    if (this.dialogue.session.replays) this.dialogue.line(frame)
    tell(response)
  }

  /** Nobody waits for the answers any more. */
  withdraw() {
    for (const request_id of this.#open.keys()) this.dialogue.line({ type: "control_cancel_request", request_id })
    this.#open.clear()
  }

  /** No answer can come any more. */
  close() {
    this.#closed = true
    const waiting = [...this.#open.values()]
    this.#open.clear()
    for (const tell of waiting) tell(gone)
  }
}

/** @param {Fields} response @returns {Answer} */
export const answerOf = ({ error, response, subtype }) => ({
  response: fieldsOf(response),
  error: subtype === "success" ? undefined : String(error)
})

/** What a program that has closed the input is taken to answer. */
export const gone = { subtype: "error", error: "Tool permission stream closed before response received" }
