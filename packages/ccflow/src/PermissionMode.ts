/** How tools are decided on that no rule allows or denies, by the names that the Python library gave them. */
import type * as AgentOptions from "@ccflow/core/AgentOptions"

export const PermissionMode = {
  DEFAULT: "default",
  ACCEPT_EDITS: "acceptEdits",
  PLAN: "plan",
  DONT_ASK: "dontAsk",
  AUTO: "auto",
  BYPASS: "bypassPermissions"
} as const satisfies Record<string, AgentOptions.PermissionMode>

export type PermissionMode = AgentOptions.PermissionMode
