/** Bounds of a server's leg. */

/** Bounds of one server's leg. */
export interface UpstreamLimits {
  /** One JSON answer, one SSE event, one line. */
  readonly maxMessageBytes: number;
  readonly connectMs: number;
  readonly firstByteMs: number;
  /** Silence inside an answer; progress ends it. */
  readonly idleMs: number;
  readonly totalMs: number;
  /** Wait for `server/discover` of a server that may hang on it. */
  readonly probeMs: number;
  /** Wait before a subscription that broke is made again; doubled each time, up to 60 times as long. */
  readonly relistenMs: number;
  readonly maxPages: number;
  readonly maxDefinitions: number;
  readonly maxDefinitionBytes: number;
  /** Characters of all definitions of a server, its capabilities and instructions: each listing digests them while calls wait. */
  readonly maxSurfaceLength: number;
  /** Starts of one child within a minute. */
  readonly startsPerMinute: number;
  /** Wait for a child whose input was closed, before SIGTERM. */
  readonly stopMs: number;
  /** Wait after SIGTERM, before SIGKILL. */
  readonly killMs: number;
}

/** Limits of the gateway's specification. */
export const DEFAULT_UPSTREAM_LIMITS: UpstreamLimits = {
  maxMessageBytes: 16 * 1024 * 1024,
  connectMs: 30_000,
  firstByteMs: 30_000,
  idleMs: 60_000,
  totalMs: 600_000,
  probeMs: 5_000,
  relistenMs: 1_000,
  maxPages: 100,
  maxDefinitions: 2_000,
  maxDefinitionBytes: 256 * 1024,
  maxSurfaceLength: 8 * 1024 * 1024,
  startsPerMinute: 5,
  stopMs: 2_000,
  killMs: 3_000,
};
