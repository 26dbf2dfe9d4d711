// Control requests of the host.
import { isRefused, reply, respond as answerTo } from "../../src/internal/protocol/controls.mjs"
import { isObject } from "../../src/internal/protocol/turn.mjs"
import { quit } from "./output.mjs"
import { dialogue } from "./session.mjs"

/** Does what the control request asks and answers it, with `more` in the response. */
export const respond = ({ request_id, request = {} }, more) => {
  const answer = answerTo(dialogue, request)
  reply(dialogue, request_id, isObject(answer) ? { ...answer, ...more } : answer)
  if (isRefused(answer)) return
  if (request.subtype === "interrupt") dialogue.turn?.stop("interrupt")
  if (request.subtype === "set_permission_mode") dialogue.tellMode()
  if (request.subtype === "end_session") quit(0)
}
