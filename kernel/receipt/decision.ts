/**
 * Decision receipt: what was asked, on what it was decided, and how; durable before anything is sent. A refused request
 * has this receipt alone. Fields R1–R13 of the containment evidence contract are all here, each with its state.
 */

import type { Accounting, Commitment, Digest, Hex64, PolicyRef } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Approval, Delegation, Identity, Principal, SessionPlace, Workflow } from "./identity.ts";
import type { DataFacts } from "./inspection.ts";
import type { Observed } from "./observed.ts";
import type { Ruling } from "./ruling.ts";
import type { CatalogView, Definition, Server, UpstreamLeg, Wire } from "./target.ts";
import type { UpstreamAuth } from "./vocabulary.ts";

/** Identity of the call and its ties to earlier receipts of the stream (their seq). */
export type CallTies = {
  /** Made by the gateway, unique: 32 lower-case hexadecimal digits. The JSON-RPC id is informational. */
  readonly id: string;
  /** Round of a multi-round request, from 0. */
  readonly round: number;
  /** Decision of round 0, for later rounds. */
  readonly first_round: Observed<number>;
  /** Decision of the attempt that this one repeats. */
  readonly retry_of: Observed<number>;
};

/** Body of a decision receipt (before signing). */
export type DecisionBody = StreamHeader &
  DataFacts & {
    readonly kind: "decision";
    readonly call: CallTies;
    /** R1. */
    readonly principal: Observed<Principal>;
    readonly delegation: Observed<Delegation>;
    /** R2, R3: independent of each other. */
    readonly actor: Observed<Identity>;
    readonly subject: Observed<Identity>;
    readonly session: Observed<SessionPlace>;
    readonly workflow: Observed<Workflow>;
    /** Keyed hashes of the values at the argument paths that the catalog declares as naming a data subject. */
    readonly data_subjects: Observed<readonly Hex64[]>;
    /** R4. */
    readonly policy: Observed<PolicyRef>;
    /** R5: digest of the capture-scope statement. */
    readonly boundary: Observed<Digest>;
    /** R6. */
    readonly catalog: Observed<CatalogView>;
    readonly wire: Wire;
    readonly upstream: Observed<UpstreamLeg>;
    readonly upstream_auth: Observed<UpstreamAuth>;
    readonly server: Observed<Server>;
    readonly definition: Observed<Definition>;
    /** R8: the message as received, and as sent (`absent` if nothing is sent). */
    readonly request_received: Observed<Commitment>;
    readonly request_sent: Observed<Commitment>;
    /** R9. */
    readonly ruling: Ruling;
    readonly approval: Observed<Approval>;
    /** R11: `pending` if the call goes out, `absent` if it does not. */
    readonly outcome: { readonly state: "pending" } | { readonly state: "absent" };
    /** R13. */
    readonly accounting: Observed<Accounting>;
    /** Decisions of the same session whose outcome was not known yet (seq, ascending). */
    readonly concurrent_with: readonly number[];
  };
