/**
 * Who decides on a tool that no rule of the CLI allows or denies: a handler of the program, asked within the CLI's loop.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Request } from "./ControlProtocol.js"

/** A change to the CLI's rules, as it suggests and takes them. */
export interface PermissionUpdate {
  readonly type: string
  readonly [field: string]: unknown
}

/** What the CLI asks. */
export interface PermissionRequest {
  readonly tool: string
  readonly input: Readonly<Record<string, unknown>>
  readonly toolUseId: string
  readonly suggestions: ReadonlyArray<PermissionUpdate>
  readonly requiresUserInteraction: boolean
  /** As the CLI sent it. */
  readonly raw: Request
}

export type Decision =
  | {
    readonly _tag: "Allow"
    readonly input?: Readonly<Record<string, unknown>> | undefined
    readonly rules?: ReadonlyArray<PermissionUpdate> | undefined
  }
  | { readonly _tag: "Deny"; readonly message: string; readonly interrupt?: boolean | undefined }

/** Decides on one use of a tool. What fails or dies denies. */
export type Handler = (request: PermissionRequest) => Effect.Effect<Decision, unknown>

/** The handler for all queries of a fiber and its children that have none of their own. */
export class Permissions extends Context.Reference<Permissions>()("@ccflow/core/Permissions", {
  defaultValue: (): Handler | undefined => undefined
}) {}
