/** Bodies of decision and outcome receipts, from what the pipeline knows. Pure; every field is filled with its state. */

import { commitBytes } from "../../kernel/commitment.ts";
import { Constants, constant } from "../../kernel/json/constant.ts";
import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import type { PolicyRef } from "../../kernel/receipt/fields.ts";
import type { SessionPlace } from "../../kernel/receipt/identity.ts";
import type { DataFacts } from "../../kernel/receipt/inspection.ts";
import { ABSENT, notEstablished, type Observed, PENDING, present } from "../../kernel/receipt/observed.ts";
import type { OutcomeBody, OutcomeFacts } from "../../kernel/receipt/outcome.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { Obligation, Ruling } from "../../kernel/receipt/ruling.ts";
import type { CatalogView, Definition } from "../../kernel/receipt/target.ts";
import type {
  Action,
  Effect,
  Judgement,
  Mode,
  ServerProvenance,
  Status,
  Step,
} from "../../kernel/receipt/vocabulary.ts";
import type { PolicyEvaluator } from "../policy/evaluator.ts";
import type { Unplaced } from "../receipts/recorder.ts";
import type { Caller, CallOutcome, InboundCall, Refusal } from "./call.ts";
import { serverOf, upstreamOf, wireOf } from "./call-facts.ts";
import { commitMessage } from "./commitments.ts";
import type { KeyedNames } from "./keyed-names.ts";
import type { EndedDecision } from "./open-tasks.ts";
import { partiesOf } from "./parties.ts";
import type { OutcomeFields, Settlement } from "./stage.ts";

/** What is the same for every receipt of a run. */
export interface RunFacts {
  readonly names: KeyedNames;
  readonly policy: PolicyRef;
  /** Digest of the capture-scope statement. */
  readonly boundary: string;
  readonly mode: Mode;
}

/** What one call is decided on. */
export interface CallBasis {
  readonly run: RunFacts;
  readonly evaluator: PolicyEvaluator;
}

/** How a request was ruled on. */
export interface RulingFacts {
  readonly action: Action;
  readonly judgement: Judgement;
  readonly step: Step;
  readonly reasons: readonly ReasonCode[];
  readonly policies?: readonly string[];
  readonly erring?: readonly string[];
  readonly advisory?: readonly string[];
  readonly controls?: readonly string[];
  readonly obligations?: readonly Obligation[];
}

/** What is looked up for a call that reached its server's entry. */
export interface CallContext {
  readonly callId: string;
  readonly session: Observed<SessionPlace>;
  readonly catalog: Observed<CatalogView>;
  readonly definition: Observed<Definition>;
  readonly identityDigest: string | undefined;
  readonly provenance: ServerProvenance;
  /** The name as the approved catalog has it; undefined if it has none of that name. */
  readonly catalogName: string | undefined;
  readonly concurrentWith: readonly number[];
  /** The question to policy that the ruling commits to, if it does. */
  readonly detail: Uint8Array | undefined;
}

type Decision = Extract<Unplaced<DecisionBody>, { kind: "decision" }>;
type Outcome = Extract<Unplaced<OutcomeBody>, { kind: "outcome" }>;

/** What no stage fills: the receipts say that nobody looked. */
const NOT_COLLECTED: DataFacts = {
  inspection: notEstablished("field.not-configured"),
  redactions: notEstablished("field.not-configured"),
  matches: notEstablished("field.not-configured"),
  taint: notEstablished("field.not-configured"),
  edges: notEstablished("field.not-configured"),
};

/** Decision about a call that reached policy (or a step behind routing). */
export function decisionOf(
  run: RunFacts,
  secret: Uint8Array,
  call: InboundCall,
  context: CallContext,
  { judged: { ruling }, toSend, fields }: Settlement,
): Decision {
  const isSent = ruling.action === "forward" && call.isAnsweredHere !== true;
  const common = commonDecision(run, call.caller, ruling);
  return {
    ...common,
    ruling: withDetail(secret, common.ruling, context.detail),
    ...fields,
    call: {
      id: context.callId,
      round: call.round?.index ?? 0,
      first_round: call.round === undefined ? ABSENT : present(call.round.firstSeq),
      retry_of: call.approval === undefined ? notEstablished("field.not-collected") : present(call.approval.seq),
    },
    session: context.session,
    catalog: context.catalog,
    wire: wireOf(secret, run.names, call.wire, context.catalogName),
    upstream: upstreamOf(call.upstream),
    upstream_auth: authOf(call.upstream.auth),
    server: serverOf(call.serverId, context.identityDigest, context.provenance),
    definition: context.definition,
    request_received: commitMessage(secret, "request_received", call.received),
    request_sent: commitMessage(secret, "request_sent", isSent ? toSend : undefined),
    concurrent_with: context.concurrentWith,
  };
}

function withDetail(secret: Uint8Array, ruling: Ruling, detail: Uint8Array | undefined): Ruling {
  if (detail === undefined) return ruling;
  const commitment = { scheme: "countersign/bytes/v1", root: commitBytes(secret, "detail", detail) } as const;
  return { ...ruling, detail: present(commitment) };
}

/** Decision about a request that was refused before policy. */
export function refusalOf(run: RunFacts, secret: Uint8Array, callId: string, refusal: Refusal): Decision {
  const { step, reason, wire, caller, claimed, serverId, received, accounting } = refusal;
  const unreached = notEstablished("field.not-reached");
  return {
    ...commonDecision(run, caller, { action: "refuse", judgement: "deny", step, reasons: [reason] }, claimed),
    call: { id: callId, round: 0, first_round: ABSENT, retry_of: ABSENT },
    session: unreached,
    catalog: unreached,
    wire: wireOf(secret, run.names, wire, undefined),
    upstream: ABSENT,
    upstream_auth: ABSENT,
    server: serverId === undefined ? unreached : serverOf(serverId, undefined),
    definition: unreached,
    request_received: received === undefined ? unreached : commitMessage(secret, "request_received", received),
    request_sent: ABSENT,
    concurrent_with: [],
    ...(accounting === undefined ? {} : { accounting: present(accounting) }),
  };
}

/** Outcome of a dispatched call. */
export function outcomeOf(
  secret: Uint8Array,
  { decision, hash, resolves }: EndedDecision,
  outcome: CallOutcome,
  latency: { readonly policyUs: number; readonly inspectionUs: number; readonly totalUs: number },
  fields: OutcomeFields,
): Outcome {
  return {
    ...outcomeBase(decision, hash, outcome.status, outcome.effect, resolves),
    ...fields,
    outcome: endOf(outcome.status, outcome.effect, outcome.rpcCode),
    ...(outcome.unseen === undefined ? answerOf(secret, outcome, latency) : unseenAnswer(outcome.unseen)),
  };
}

type AnswerFields = Pick<Outcome, "response_received" | "response_returned" | "latency">;

function answerOf(secret: Uint8Array, outcome: CallOutcome, latency: Parameters<typeof outcomeOf>[3]): AnswerFields {
  return {
    response_received: commitMessage(secret, "response_received", outcome.received),
    response_returned: commitMessage(secret, "response_returned", outcome.returned),
    latency: present({
      policy_us: latency.policyUs,
      inspection_us: latency.inspectionUs,
      upstream_us: outcome.upstreamUs,
      total_us: latency.totalUs,
    }),
  };
}

/** Nobody can say that there was no answer. */
function unseenAnswer(why: ReasonCode): AnswerFields {
  const unknown = notEstablished(why);
  return { response_received: unknown, response_returned: unknown, latency: unknown };
}

/** Outcome of a call, or of the task that it made, that a crash cut off: nobody knows what the server did. */
export function lostOutcomeOf({ decision, hash, resolves }: EndedDecision): Outcome {
  const lost = notEstablished("recovery.crash");
  // Nothing was sent for a phantom, so nothing is unknown about it.
  const isPhantom = decision.ruling.action === "phantom";
  return {
    ...(isPhantom
      ? outcomeBase(decision, hash, "phantom", "none")
      : outcomeBase(decision, hash, "unknown", "unknown", resolves)),
    response_received: lost,
    response_returned: lost,
    latency: lost,
  };
}

function outcomeBase(
  decision: DecisionBody,
  hash: string,
  status: Status,
  effect: Effect,
  resolves?: number,
): Omit<Outcome, "response_received" | "response_returned" | "latency"> {
  return {
    kind: "outcome",
    ...NOT_COLLECTED,
    call: {
      id: decision.call.id,
      round: decision.call.round,
      decision_seq: decision.seq,
      decision_hash: hash,
      resolves: resolves === undefined ? ABSENT : present(resolves),
    },
    wire: decision.wire,
    upstream: decision.upstream,
    server: decision.server,
    outcome: endOf(status, effect, undefined),
    respond: ABSENT,
    accounting: notEstablished("field.not-configured"),
  };
}

function endOf(status: Status, effect: Effect, rpcCode: number | undefined): OutcomeFacts {
  if (rpcCode !== undefined) return { status, effect, rpc_code: present(rpcCode) };
  return ends.of(`${status} ${effect}`, () => ({ status, effect, rpc_code: ABSENT }));
}

function authOf(auth: InboundCall["upstream"]["auth"]): Decision["upstream_auth"] {
  return auth === undefined ? notEstablished("upstream.unseen") : auths.of(auth, () => present(auth));
}

/** What is the same in very many receipts. */
const ends = new Constants<OutcomeFacts>();
const auths = new Constants<Decision["upstream_auth"]>();
const boundaries = new Constants<Decision["boundary"]>();
const rulings = new Constants<Ruling>();

function policyOf(policy: PolicyRef): Observed<PolicyRef> {
  const known = policies.get(policy);
  if (known !== undefined) return known;
  const made = constant(present(policy));
  policies.set(policy, made);
  return made;
}

/** What every decision under one policy holds. */
const policies = new WeakMap<PolicyRef, Observed<PolicyRef>>();

type CommonDecision = Pick<
  Decision,
  | "kind"
  | keyof DataFacts
  | "principal"
  | "delegation"
  | "actor"
  | "subject"
  | "workflow"
  | "data_subjects"
  | "policy"
  | "boundary"
  | "ruling"
  | "approval"
  | "outcome"
  | "accounting"
>;

function commonDecision(
  run: RunFacts,
  caller: Caller | undefined,
  facts: RulingFacts,
  claimed?: Caller,
): CommonDecision {
  return {
    kind: "decision",
    ...NOT_COLLECTED,
    ...partiesOf(run.names, caller, claimed),
    delegation: ABSENT,
    data_subjects: notEstablished("field.not-configured"),
    policy: policyOf(run.policy),
    boundary: boundaries.of(run.boundary, () => present(run.boundary)),
    ruling: rulingOf(run.mode, facts),
    approval: ABSENT,
    outcome: facts.action === "forward" || facts.action === "phantom" ? PENDING : ABSENT,
    accounting: notEstablished("field.not-configured"),
  };
}

/** A ruling as receipts have it; the same one for the same facts, of which a run meets few. */
export function rulingOf(mode: Mode, facts: RulingFacts): Ruling {
  return rulings.of(`${mode} ${JSON.stringify(facts)}`, () => makeRuling(mode, facts));
}

function makeRuling(mode: Mode, facts: RulingFacts): Ruling {
  return {
    mode,
    action: facts.action,
    judgement: facts.judgement,
    would_deny: facts.action === "forward" && facts.judgement !== "allow",
    step: facts.step,
    reasons: facts.reasons,
    policies: facts.policies ?? [],
    erring: facts.erring ?? [],
    advisory: facts.advisory ?? [],
    obligations: facts.obligations ?? [],
    controls: facts.controls ?? [],
    detail: ABSENT,
  };
}
