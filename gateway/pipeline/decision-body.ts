/** Bodies of decision and outcome receipts, from what the pipeline knows. Pure; every field is filled with its state. */

import { commitBytes } from "../../kernel/commitment.ts";
import { Constants, constant } from "../../kernel/json/constant.ts";
import type { DecisionBody } from "../../kernel/receipt/decision.ts";
import type { PolicyRef } from "../../kernel/receipt/fields.ts";
import type { SessionPlace } from "../../kernel/receipt/identity.ts";
import { ABSENT, notEstablished, type Observed, PENDING, present } from "../../kernel/receipt/observed.ts";
import type { OutcomeBody, OutcomeFacts } from "../../kernel/receipt/outcome.ts";
import type { ReasonCode } from "../../kernel/receipt/reasons.ts";
import type { UnlinkedBody } from "../../kernel/receipt/receipt.ts";
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
import type { PlacedHeader, ReceiptPlace } from "../receipts/recorder.ts";
import type { CallOutcome, InboundCall, Refusal } from "./call.ts";
import { serverOf, upstreamOf, wireOf } from "./call-facts.ts";
import { commitMessage } from "./commitments.ts";
import type { KeyedNames } from "./keyed-names.ts";
import type { EndedDecision } from "./open-tasks.ts";
import { type Parties, partiesOf } from "./parties.ts";
import type { DecisionFields, OutcomeFields, Settlement } from "./stage.ts";

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

/** `concurrent_with` of a receipt holds at most 256 numbers. */
const MAX_CONCURRENT = 256;

/** Of numbers of open decisions, ascending, those that a receipt names: the latest. */
export function latestOf(seqs: readonly number[]): readonly number[] {
  return seqs.length <= MAX_CONCURRENT ? seqs : seqs.slice(-MAX_CONCURRENT);
}

/** What no stage fills: the receipts say that nobody looked. */
const NOT_CONFIGURED: ReturnType<typeof notEstablished> = notEstablished("field.not-configured");

/** A decision from what its kinds differ in. One literal with every member: a shape that is grown or overlaid costs as much as signing. */
function decisionBody(
  { v, stream, seq, time, attestation }: PlacedHeader,
  run: RunFacts,
  { action }: Pick<RulingFacts, "action">,
  own: OwnMembers,
  parties: Parties,
  fields: DecisionFields,
): UnlinkedBody<DecisionBody> {
  return {
    v,
    stream,
    seq,
    time,
    attestation,
    kind: "decision",
    call: own.call,
    principal: parties.principal,
    delegation: fields.delegation ?? ABSENT,
    actor: fields.actor ?? parties.actor,
    subject: fields.subject ?? parties.subject,
    session: own.session,
    workflow: fields.workflow ?? parties.workflow,
    data_subjects: fields.data_subjects ?? NOT_CONFIGURED,
    policy: policyOf(run.policy),
    boundary: boundaries.of(run.boundary, () => present(run.boundary)),
    catalog: own.catalog,
    wire: own.wire,
    upstream: own.upstream,
    upstream_auth: own.upstream_auth,
    server: own.server,
    definition: own.definition,
    request_received: own.request_received,
    request_sent: own.request_sent,
    inspection: fields.inspection ?? NOT_CONFIGURED,
    redactions: fields.redactions ?? NOT_CONFIGURED,
    matches: fields.matches ?? NOT_CONFIGURED,
    taint: fields.taint ?? NOT_CONFIGURED,
    edges: fields.edges ?? NOT_CONFIGURED,
    ruling: own.ruling,
    approval: fields.approval ?? ABSENT,
    outcome: action === "forward" || action === "phantom" ? PENDING : ABSENT,
    accounting: fields.accounting ?? NOT_CONFIGURED,
    concurrent_with: own.concurrent_with,
  };
}

/** Members that the stages have no hand in. */
type OwnMembers = Pick<
  DecisionBody,
  | "call"
  | "session"
  | "catalog"
  | "wire"
  | "upstream"
  | "upstream_auth"
  | "server"
  | "definition"
  | "request_received"
  | "request_sent"
  | "ruling"
  | "concurrent_with"
>;

/** Decision about a call that reached policy (or a step behind routing). */
export function decisionOf(
  run: RunFacts,
  { secret, header }: ReceiptPlace,
  call: InboundCall,
  context: CallContext,
  { judged: { ruling }, toSend, fields }: Settlement,
): UnlinkedBody<DecisionBody> {
  const isSent = ruling.action === "forward" && call.isAnsweredHere !== true;
  const own: OwnMembers = {
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
    ruling: withDetail(secret, rulingOf(run.mode, ruling), context.detail),
    concurrent_with: context.concurrentWith,
  };
  return decisionBody(header, run, ruling, own, partiesOf(run.names, call.caller), fields);
}

function withDetail(secret: Uint8Array, ruling: Ruling, detail: Uint8Array | undefined): Ruling {
  if (detail === undefined) return ruling;
  const commitment = { scheme: "countersign/bytes/v1", root: commitBytes(secret, "detail", detail) } as const;
  return { ...ruling, detail: present(commitment) };
}

/** Decision about a request that was refused before policy. */
export function refusalOf(
  run: RunFacts,
  { secret, header }: ReceiptPlace,
  callId: string,
  refusal: Refusal,
): UnlinkedBody<DecisionBody> {
  const { step, reason, wire, caller, claimed, serverId, received, accounting } = refusal;
  const unreached = notEstablished("field.not-reached");
  const ruling: RulingFacts = { action: "refuse", judgement: "deny", step, reasons: [reason] };
  const own: OwnMembers = {
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
    ruling: rulingOf(run.mode, ruling),
    concurrent_with: [],
  };
  const fields: DecisionFields = accounting === undefined ? {} : { accounting: present(accounting) };
  return decisionBody(header, run, ruling, own, partiesOf(run.names, caller, claimed), fields);
}

/** Outcome of a dispatched call. */
export function outcomeOf(
  { secret, header }: ReceiptPlace,
  ended: EndedDecision,
  outcome: CallOutcome,
  latency: { readonly policyUs: number; readonly inspectionUs: number; readonly totalUs: number },
  fields: OutcomeFields,
): UnlinkedBody<OutcomeBody> {
  const { status, effect, rpcCode, unseen } = outcome;
  const answer = unseen === undefined ? answerOf(secret, outcome, latency) : unknownAnswer(unseen);
  return outcomeBody(header, ended, endOf(status, effect, rpcCode), answer, fields);
}

type AnswerFields = Pick<OutcomeBody, "response_received" | "response_returned" | "latency">;

function answerOf(secret: Uint8Array, outcome: CallOutcome, latency: Parameters<typeof outcomeOf>[3]): AnswerFields {
  return {
    response_received: commitMessage(secret, "response_received", outcome.received),
    response_returned: commitMessage(secret, "response_returned", outcome.returned),
    latency: present({
      policy_us: latency.policyUs,
      inspection_us: latency.inspectionUs,
      upstream_us: Math.max(0, Math.round(outcome.upstreamUs)),
      total_us: latency.totalUs,
    }),
  };
}

/** Nobody can say that there was no answer. */
function unknownAnswer(why: ReasonCode): AnswerFields {
  const unknown = notEstablished(why);
  return { response_received: unknown, response_returned: unknown, latency: unknown };
}

/** Outcome of a call, or of the task that it made, that was cut off: nobody knows what the server did. @param why  it was */
export function lostOutcomeOf(
  { header }: ReceiptPlace,
  ended: EndedDecision,
  why: ReasonCode = "recovery.crash",
): UnlinkedBody<OutcomeBody> {
  // Nothing was sent for a phantom, so nothing is unknown about it.
  const isPhantom = ended.decision.ruling.action === "phantom";
  const end = isPhantom ? endOf("phantom", "none", undefined) : endOf("unknown", "unknown", undefined);
  return outcomeBody(header, ended, end, unknownAnswer(why), {});
}

/** Outcome of a call that was let through and then not sent. @param why  nobody was told of it */
export function unsentOutcomeOf(
  { header }: ReceiptPlace,
  ended: EndedDecision,
  why: ReasonCode,
): UnlinkedBody<OutcomeBody> {
  const isPhantom = ended.decision.ruling.action === "phantom";
  const end = endOf(isPhantom ? "phantom" : "cancelled", "none", undefined);
  return outcomeBody(header, ended, end, { ...unknownAnswer(why), response_received: ABSENT }, {});
}

/** As `decisionBody`. */
function outcomeBody(
  { v, stream, seq, time, attestation }: PlacedHeader,
  { decision, hash, resolves }: EndedDecision,
  end: OutcomeFacts,
  answer: AnswerFields,
  fields: OutcomeFields,
): UnlinkedBody<OutcomeBody> {
  return {
    v,
    stream,
    seq,
    time,
    attestation,
    kind: "outcome",
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
    response_received: answer.response_received,
    response_returned: answer.response_returned,
    inspection: fields.inspection ?? NOT_CONFIGURED,
    redactions: fields.redactions ?? NOT_CONFIGURED,
    matches: fields.matches ?? NOT_CONFIGURED,
    taint: fields.taint ?? NOT_CONFIGURED,
    edges: fields.edges ?? NOT_CONFIGURED,
    outcome: end,
    respond: fields.respond ?? ABSENT,
    latency: answer.latency,
    accounting: fields.accounting ?? NOT_CONFIGURED,
  };
}

function endOf(status: Status, effect: Effect, rpcCode: number | undefined): OutcomeFacts {
  if (rpcCode !== undefined) return { status, effect, rpc_code: present(rpcCode) };
  return ends.of(`${status} ${effect}`, () => ({ status, effect, rpc_code: ABSENT }));
}

function authOf(auth: InboundCall["upstream"]["auth"]): DecisionBody["upstream_auth"] {
  return auth === undefined ? notEstablished("upstream.unseen") : auths.of(auth, () => present(auth));
}

/** What is the same in very many receipts. */
const ends = new Constants<OutcomeFacts>();
const auths = new Constants<DecisionBody["upstream_auth"]>();
const boundaries = new Constants<DecisionBody["boundary"]>();
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

/** A ruling as receipts have it; the same one for the same facts, of which a run meets few. */
export function rulingOf(mode: Mode, facts: RulingFacts): Ruling {
  const known = rulingsOfFacts.get(facts);
  if (known?.mode === mode) return known;
  const ruling = rulings.of(`${mode} ${JSON.stringify(facts)}`, () => makeRuling(mode, facts));
  rulingsOfFacts.set(facts, ruling);
  return ruling;
}

/** By the object, without a look at what is in it: what is permitted again has the same. */
const rulingsOfFacts = new WeakMap<RulingFacts, Ruling>();

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
