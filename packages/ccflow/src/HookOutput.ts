/** What a hook answers. Several answers are joined by `combine`; an event takes only what makes sense there. */
export {
  addContext,
  allow,
  ask,
  block,
  changeInput,
  changeResult,
  combine,
  deny,
  fields,
  type OutputOf,
  proceed,
  stop
} from "@ccflow/core/Hooks"
