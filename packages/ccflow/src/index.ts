/** `ccflow` for plain TypeScript: ask Claude Code, on your own login, and get typed messages. */
import type { Prompt } from "@ccflow/core/Claude"
import * as Client from "./Client.js"
import * as Owner from "./Owner.js"
import type { Query } from "./Query.js"

export type { Agent, McpServer } from "@ccflow/core/AgentOptions"
export type { Prompt } from "@ccflow/core/Claude"
export * from "@ccflow/core/ClaudeError"
export type { EncoderOptions } from "@ccflow/core/ContextEncoder"
export type { CallOutcome, Event, EventOf, EventTypes } from "@ccflow/core/Events"
export type { HookEvent, HookInput } from "@ccflow/core/HookInput"
export type { Level as LogLevel } from "@ccflow/core/Logs"
export type {
  ApiRetry,
  Assistant,
  Compact,
  ContentBlock,
  ErrorMessage,
  Hook,
  Init,
  Message,
  ModelUsage,
  PermissionDenied,
  RateLimit,
  Result,
  Status,
  Stop,
  Task,
  Text,
  Thinking,
  ToolResult,
  ToolUse,
  Unknown,
  UnknownSystem,
  Usage,
  User
} from "@ccflow/core/Message"
export {
  allow,
  answer,
  type Decision,
  deny,
  pass,
  type PermissionRequest,
  type PermissionUpdate,
  type Question,
  questions
} from "@ccflow/core/Permissions"
export { calculateCost, type CostOptions, type PricedTokens, UnknownModelError } from "@ccflow/core/Pricing"
export type { SessionStats } from "@ccflow/core/Session"
export type {
  AccountInfo,
  AgentInfo,
  ContextUsage,
  McpServerStatus,
  ModelInfo,
  RewoundFiles,
  SlashCommand
} from "@ccflow/core/SessionControl"
export type { PageOptions, SessionFilter } from "@ccflow/core/SessionFilter"
export type { SessionManagerOptions, Swept } from "@ccflow/core/SessionManager"
export type { SessionRecord, SessionStatus, TurnRecord, TurnStatus } from "@ccflow/core/SessionRecord"
export type { MessagePage, SessionPage, TurnPage } from "@ccflow/core/SessionRepository"
export { allowed, content, type Tool, type ToolSet, toolSet } from "@ccflow/core/Tools"
export type { BatchItem, BatchOptions, BatchProgress, BatchPrompts, BatchResult } from "./Batch.js"
export {
  CircuitBreaker,
  type CircuitBreakerConfig,
  type CircuitBreakerStats,
  type CircuitState,
  getCliCircuitBreaker
} from "./CircuitBreaker.js"
export {
  type Client,
  createClient,
  type FakeConfig,
  make as makeClient,
  type QueryOptions,
  type StructuredOptions
} from "./Client.js"
export {
  type Asked,
  type DecisionOptions,
  type HookRegistration,
  type HookTable,
  type PermissionHandler,
  tool,
  type ToolCall,
  type ToolOptions
} from "./Decisions.js"
export { type Emitter, type EventStream, type EventStreamOptions, EventType, getEmitter } from "./Emitter.js"
export type { FallbackConfig } from "./Fallback.js"
export type { Account, HealthOptions, HealthStatus, Problem as HealthProblem } from "./Health.js"
export * as HookOutput from "./HookOutput.js"
export type { ClientConfig } from "./Owner.js"
export { PermissionMode } from "./PermissionMode.js"
export type { Pool, PoolOptions, PoolStats, PoolStatus, PoolTask, TaskOrId, WaitOptions } from "./Pool.js"
export type { Query, ResultOf } from "./Query.js"
export {
  type AcquireOptions,
  CombinedLimiter,
  getLimiter,
  type Limiter,
  type LimiterOptions,
  type LimiterPermit,
  type LimiterStats,
  SlidingWindowRateLimiter,
  TokenBucketRateLimiter
} from "./RateLimiting.js"
export { type RetryConfig, retryWithBackoff } from "./Retry.js"
export { Session, type SessionOptions, type TurnOptions } from "./Session.js"
export { SessionManager, type SessionManagerStats } from "./SessionManager.js"
export type { ResumeOptions, SessionExport, Sessions } from "./Sessions.js"
export { MemorySessionStore, SessionStore, SQLiteSessionStore } from "./SessionStore.js"
export {
  getUsageTracker,
  type UsageFilter,
  type UsageGroup,
  type UsageGrouping,
  type UsageKey,
  type UsageSum,
  type UsageTotals,
  type UsageTracker
} from "./Usage.js"

/** Made at the first call; the environment is read then. It keeps no host process alive. */
let shared: Client.Client | undefined
const client = (): Client.Client => shared ??= Client.of(Owner.shared())

/** The messages of one prompt, as they come: `for await (const message of query("…"))`. */
export function query<Output, Encoded>(
  prompt: Prompt,
  options: Client.StructuredOptions<Output, Encoded>
): Query<Output>
export function query(prompt: Prompt, options?: Client.QueryOptions): Query
export function query(prompt: Prompt, options?: Client.QueryOptions): Query {
  return client().query(prompt, options)
}

/** The answer's text. */
export const querySimple: Client.Client["querySimple"] = (prompt, options) => client().querySimple(prompt, options)
export { querySimple as queryText }

/** Many prompts, a few at a time: results in input order, one failure hides no other. */
export const batchQuery: Client.Client["batchQuery"] = (prompts, options) => client().batchQuery(prompts, options)
