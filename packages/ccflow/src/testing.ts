/**
 * For tests of programs that use `ccflow`: a client on a fake CLI. No process, no network.
 */
import * as FakeClaude from "@ccflow/testing/FakeClaude"
import { type Client, type FakeConfig, make } from "./Client.js"

export * as FakeCli from "@ccflow/testing/FakeCli"

/** A client whose CLI plays this script. */
export const fakeClient = (script: Parameters<typeof FakeClaude.layer>[0], config?: FakeConfig): Client =>
  make(FakeClaude.layer(script), config)
