/** Outcome receipt: how a dispatched call ended; durable before the client is answered. */

import type { Accounting, Commitment, Hex64 } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { DataFacts } from "./inspection.ts";
import type { Observed } from "./observed.ts";
import type { Ruling } from "./ruling.ts";
import type { Server, UpstreamLeg, Wire } from "./target.ts";
import type { Effect, Status } from "./vocabulary.ts";

/** The decision that this outcome belongs to. */
export type OutcomeTies = {
  readonly id: string;
  readonly round: number;
  /** Sequence number and receipt hash of the decision. */
  readonly decision_seq: number;
  readonly decision_hash: Hex64;
  /** An earlier outcome of the same decision whose effect was unknown, and which this one settles. */
  readonly resolves: Observed<number>;
};

/** How the call ended. `rpc_code` is the JSON-RPC error code that the upstream or the gateway answered with. */
export type OutcomeFacts = { readonly status: Status; readonly effect: Effect; readonly rpc_code: Observed<number> };

/** Microseconds spent. */
export type Latency = {
  readonly policy_us: number;
  readonly inspection_us: number;
  readonly upstream_us: number;
  readonly total_us: number;
};

/** Body of an outcome receipt (before signing). */
export type OutcomeBody = StreamHeader &
  DataFacts & {
    readonly kind: "outcome";
    readonly call: OutcomeTies;
    readonly wire: Wire;
    readonly upstream: Observed<UpstreamLeg>;
    readonly server: Observed<Server>;
    /** R11. */
    readonly outcome: OutcomeFacts;
    /** The `respond` ruling, if the bundle has one. */
    readonly respond: Observed<Ruling>;
    readonly response_received: Observed<Commitment>;
    readonly response_returned: Observed<Commitment>;
    readonly accounting: Observed<Accounting>;
    readonly latency: Observed<Latency>;
  };
