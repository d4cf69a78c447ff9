/** Heartbeat receipt: the stream is alive and had nothing else to say for its declared interval. */

import type { StreamHeader } from "./header.ts";

/** Body of a heartbeat receipt. */
export type HeartbeatBody = StreamHeader & {
  readonly kind: "heartbeat";
  /** Sessions open at this moment. */
  readonly open_sessions: number;
  /** Dispatched calls without an outcome at this moment. */
  readonly open_calls: number;
};
