/** Outcome receipt: how a dispatched call ended; durable before the client is answered. */

import { FormatError } from "../errors.ts";
import { hex, integer, literal, mapped, object, type Shape } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { checkEarlier, checkFactReferences, observedSeq } from "./earlier.ts";
import {
  type Accounting,
  accountingShape,
  type Commitment,
  commitmentShape,
  type Hex64,
  hex64Shape,
  seqShape,
} from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import { type DataFacts, dataFactsMembers } from "./inspection.ts";
import { type Observed, observed } from "./observed.ts";
import { type Ruling, rulingShape } from "./ruling.ts";
import { type Server, serverShape, type UpstreamLeg, upstreamLegShape, type Wire, wireShape } from "./target.ts";
import { EFFECTS, type Effect, STATUSES, type Status } from "./vocabulary.ts";

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

export const outcomeShape: Shape<Signed<OutcomeBody>> = mapped(
  object<Signed<OutcomeBody>>({
    ...headerMembers,
    ...dataFactsMembers,
    kind: literal("outcome"),
    call: object<OutcomeTies>({
      id: hex(16),
      round: integer({ max: 64 }),
      decision_seq: seqShape,
      decision_hash: hex64Shape,
      resolves: observed(seqShape),
    }),
    wire: wireShape,
    upstream: observed(upstreamLegShape),
    server: observed(serverShape),
    outcome: object<OutcomeFacts>({
      status: literal(...STATUSES),
      effect: literal(...EFFECTS),
      rpc_code: observed(integer({ min: -2_147_483_648, max: 2_147_483_647 })),
    }),
    respond: observed(rulingShape),
    response_received: observed(commitmentShape),
    response_returned: observed(commitmentShape),
    accounting: observed(accountingShape),
    latency: observed(
      object<Latency>({ policy_us: integer(), inspection_us: integer(), upstream_us: integer(), total_us: integer() }),
    ),
    signatures: signaturesShape,
  }),
  checkOutcome,
);

/** Ways to end in which nothing may have been sent. Every other one is an answer of the server. */
const UNANSWERED: ReadonlySet<Status> = new Set(["cancelled", "timeout", "upstream_error", "phantom"]);

function checkOutcome(receipt: Signed<OutcomeBody>): Signed<OutcomeBody> {
  checkEffect(receipt.outcome);
  checkEarlier(receipt.seq, [receipt.call.decision_seq, ...observedSeq(receipt.call.resolves)]);
  checkFactReferences(receipt.seq, receipt);
  return receipt;
}

/** A call that a server answered was sent; one whose end nobody knows, or knows yet, has an effect that nobody knows. */
function checkEffect({ status, effect }: OutcomeFacts): void {
  if (status === "phantom" && effect !== "none") {
    throw new FormatError("ERR_SHAPE", "outcome: want no effect of a phantom");
  }
  if ((status === "unknown" || status === "task_created") && effect !== "unknown") {
    throw new FormatError("ERR_SHAPE", "outcome: want an unknown effect of an unknown end, and of a task that runs");
  }
  if (effect === "none" && !UNANSWERED.has(status)) {
    throw new FormatError("ERR_SHAPE", "outcome: want an effect, or an unknown one, of a call that was answered");
  }
}
