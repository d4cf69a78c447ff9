/**
 * Decision receipt: what was asked, on what it was decided, and how; durable before anything is sent. A refused request
 * has this receipt alone. Fields R1–R13 of the containment evidence contract are all here, each with its state.
 */

import { FormatError } from "../errors.ts";
import { array, hex, integer, literal, mapped, object, type Shape, tagged } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import { checkDelegation } from "./delegation.ts";
import { checkEarlier, checkFactReferences, observedSeq } from "./earlier.ts";
import {
  type Accounting,
  accountingShape,
  type Commitment,
  commitmentShape,
  type Digest,
  digestShape,
  type Hex64,
  hex64Shape,
  MAX_NAMES,
  type PolicyRef,
  policyRefShape,
  seqShape,
  seqsShape,
} from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import {
  type Approval,
  approvalShape,
  type Delegation,
  delegationShape,
  type Identity,
  identityShape,
  type Principal,
  principalShape,
  type SessionPlace,
  sessionPlaceShape,
  type Workflow,
  workflowShape,
} from "./identity.ts";
import { type DataFacts, dataFactsMembers } from "./inspection.ts";
import { type Observed, observed } from "./observed.ts";
import { type Ruling, rulingShape } from "./ruling.ts";
import {
  type CatalogView,
  catalogViewShape,
  type Definition,
  definitionShape,
  type Server,
  serverShape,
  type UpstreamLeg,
  upstreamLegShape,
  type Wire,
  wireShape,
} from "./target.ts";
import { UPSTREAM_AUTHS, type UpstreamAuth } from "./vocabulary.ts";

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

/** Whether an outcome receipt is to follow. */
export type ExpectedOutcome = { readonly state: "pending" } | { readonly state: "absent" };

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
    /** R11: `pending` if the call goes out or is answered as a phantom, `absent` if it is not. */
    readonly outcome: ExpectedOutcome;
    /** R13. */
    readonly accounting: Observed<Accounting>;
    /** Decisions of the same session whose outcome was not known yet (seq, ascending). */
    readonly concurrent_with: readonly number[];
  };

export const decisionShape: Shape<Signed<DecisionBody>> = mapped(
  object<Signed<DecisionBody>>({
    ...headerMembers,
    ...dataFactsMembers,
    kind: literal("decision"),
    call: object<CallTies>({
      id: hex(16),
      round: integer({ max: 64 }),
      first_round: observed(seqShape),
      retry_of: observed(seqShape),
    }),
    principal: observed(principalShape),
    delegation: observed(mapped(delegationShape, checkDelegation)),
    actor: observed(identityShape),
    subject: observed(identityShape),
    session: observed(sessionPlaceShape),
    workflow: observed(workflowShape),
    data_subjects: observed(array(hex64Shape, { max: MAX_NAMES })),
    policy: observed(policyRefShape),
    boundary: observed(digestShape),
    catalog: observed(catalogViewShape),
    wire: wireShape,
    upstream: observed(upstreamLegShape),
    upstream_auth: observed(literal(...UPSTREAM_AUTHS)),
    server: observed(serverShape),
    definition: observed(definitionShape),
    request_received: observed(commitmentShape),
    request_sent: observed(commitmentShape),
    ruling: rulingShape,
    approval: observed(approvalShape),
    outcome: tagged("state", {
      pending: object<{ readonly state: "pending" }>({ state: literal("pending") }),
      absent: object<{ readonly state: "absent" }>({ state: literal("absent") }),
    }),
    accounting: observed(accountingShape),
    concurrent_with: seqsShape,
    signatures: signaturesShape,
  }),
  checkDecision,
);

/** A refused or held call has sent nothing and awaits nothing; what a decision refers to lies before it. */
function checkDecision(receipt: Signed<DecisionBody>): Signed<DecisionBody> {
  const { action } = receipt.ruling;
  const isAnswered = action === "forward" || action === "phantom";
  if ((receipt.outcome.state === "pending") !== isAnswered) {
    throw new FormatError(
      "ERR_SHAPE",
      "decision: want a pending outcome exactly if the call is forwarded or a phantom",
    );
  }
  if (receipt.request_sent.state === "present" && action !== "forward") {
    throw new FormatError("ERR_SHAPE", "decision: want no request sent unless the call is forwarded");
  }
  const { first_round: firstRound, retry_of: retryOf } = receipt.call;
  checkEarlier(receipt.seq, [...observedSeq(firstRound), ...observedSeq(retryOf), ...receipt.concurrent_with]);
  checkFactReferences(receipt.seq, receipt);
  return receipt;
}
