import type { SessionStoreError } from "@ccflow/core/ClaudeError"
import * as SqliteFile from "@ccflow/sql/SqliteFile"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { File } from "./kept.js"

/** This file. A module of its own: only who keeps something loads it. */
export const openFile = (path: string): Effect.Effect<File, SessionStoreError, Scope.Scope> =>
  Layer.build(SqliteFile.layer({ path }))
