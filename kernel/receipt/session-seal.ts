/** Session-seal receipt: the session ended; its counts can be recomputed from the receipts between open and seal. */

import type { StreamHeader } from "./header.ts";
import type { SealReason } from "./vocabulary.ts";

/**
 * Calls of a session. `total` = `allowed` + `denied`: decisions whose action was `forward`, and the others.
 * Of the allowed, `faulted` have a last outcome of `cancelled`, `timeout`, `upstream_error` or `unknown`, and `open`
 * have no outcome.
 */
export type SessionCalls = {
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  readonly faulted: number;
  readonly open: number;
};

/** Body of a session-seal receipt. `first_seq` is the seq of the session's open receipt. */
export type SessionSealBody = StreamHeader & {
  readonly kind: "session-seal";
  readonly session: { readonly id: string };
  readonly reason: SealReason;
  readonly calls: SessionCalls;
  readonly first_seq: number;
};
