/** A channel of messages both ways to one server: a child's standard streams, or the event stream of HTTP+SSE. */

import type { UpstreamReply, UpstreamRequest } from "./upstream.ts";

/** A channel that is open, until it is not. */
export interface Channel {
  readonly isOpen: () => boolean;
  /** Resolves when it is not open any more. */
  readonly gone: Promise<void>;
  readonly exchange: (request: UpstreamRequest) => Promise<UpstreamReply>;
  readonly notify: (message: Uint8Array) => void;
  /** What it said last, for the error of a start that failed. */
  readonly lastWords: () => string;
  readonly stop: () => Promise<void>;
}

/** What came of a request that was not sent. */
export const NOT_SENT: UpstreamReply = {
  type: "failed",
  status: "upstream_error",
  effect: "none",
  reason: "server.unavailable",
};
