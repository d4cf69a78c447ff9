/**
 * What a bundle says about one data subject: every call whose receipt names its keyed hash, counts, and whether the list is
 * complete for the gateways that the trust policy pins. The verdicts are those of the verifier; nothing is judged anew.
 */

import { type EvidenceBundle, parseBundle } from "../kernel/bundle.ts";
import type { ObligationId } from "../kernel/obligation.ts";
import type { DecisionBody } from "../kernel/receipt/decision.ts";
import type { Hex64 } from "../kernel/receipt/fields.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import type { Action, Effect, Status } from "../kernel/receipt/vocabulary.ts";
import { placeOf } from "./call-graph.ts";
import { PINNED } from "./pinned.ts";
import { readEntries } from "./read-entries.ts";
import { doubt, type Judgement } from "./verdict.ts";
import { type VerificationResult, type VerifyInput, verifyBundle } from "./verify-bundle.ts";

/** One call about the subject. */
export type SubjectCall = {
  readonly stream: Hex64;
  /** Number of the decision receipt. */
  readonly seq: number;
  readonly time: string;
  readonly server: string | null;
  /** The approved name; null for names and URIs that appear as commitments. */
  readonly name: string | null;
  readonly action: Action;
  /** Null for a decision that names no policy. */
  readonly policy: string | null;
  readonly policies: readonly string[];
  /** How it ended; null while no outcome is known, and for what was not sent. */
  readonly status: Status | null;
  readonly effect: Effect | null;
};

/** The report, as JSON. */
export type SubjectReport = {
  readonly kind: "subject-report";
  readonly v: 1;
  readonly subject: Hex64;
  /** In the order of the bundle. */
  readonly calls: readonly SubjectCall[];
  readonly totals: {
    readonly calls: number;
    readonly sent: number;
    readonly refused: number;
    /** Calls of anybody that were sent, and whose receipt does not say whom they are about. */
    readonly unstated: number;
  };
  /** Whether the list is complete for the declared windows of every pinned gateway. */
  readonly complete: Judgement;
  /** As of the verifier: whether "verified" may be said. */
  readonly verified: boolean;
};

/** Without these the list may lack calls, or hold false ones. */
const NEEDED: readonly ObligationId[] = ["bundle.digest", ...PINNED, "stream.continuity", "stream.coverage"];

/**
 * Makes the report.
 *
 * @param subject  keyed hash of the value that names the subject, as receipts have it
 * @throws {FormatError} as `parseBundle`
 */
export function subjectReport(input: VerifyInput, subject: Hex64): SubjectReport {
  const bundle = parseBundle(input.bundle);
  const result = verifyBundle(input);
  const receipts = readEntries(bundle).receipts.map(({ receipt }) => receipt);
  const decisions = receipts.filter((receipt) => receipt.kind === "decision");
  const outcomes = receipts.filter((receipt) => receipt.kind === "outcome");
  const ended = new Map(outcomes.map(({ stream, call, outcome }) => [placeOf(stream, call.decision_seq), outcome]));
  const calls = decisions
    .filter(({ data_subjects: subjects }) => observedValue(subjects)?.includes(subject) === true)
    .map((decision) => callOf(decision, ended.get(placeOf(decision.stream, decision.seq))));
  const sent = calls.filter(({ action }) => action === "forward").length;
  const isUnstated = ({ ruling, data_subjects: subjects }: DecisionBody): boolean =>
    ruling.action === "forward" && subjects.state === "not_established";
  const unstated = decisions.filter(isUnstated).length;
  return {
    kind: "subject-report",
    v: 1,
    subject,
    calls,
    totals: { calls: calls.length, sent, refused: calls.length - sent, unstated },
    complete: judgeComplete(bundle, result, [...input.trust.gateways.keys()], unstated),
    verified: result.verified,
  };
}

function callOf(
  decision: DecisionBody,
  outcome: { readonly status: Status; readonly effect: Effect } | undefined,
): SubjectCall {
  const { stream, seq, time, server, wire, ruling, policy } = decision;
  const name = observedValue(wire.mcp_name);
  return {
    stream,
    seq,
    time,
    server: observedValue(server)?.id ?? null,
    name: name?.form === "name" ? name.name : null,
    action: ruling.action,
    policy: observedValue(policy)?.digest ?? null,
    policies: ruling.policies,
    status: outcome?.status ?? null,
    effect: outcome?.effect ?? null,
  };
}

/** The worst of what the list rests on. A pinned gateway of which the bundle declares nothing is a part that nobody showed. */
function judgeComplete(
  { streams }: EvidenceBundle,
  { obligations }: VerificationResult,
  pinned: readonly Hex64[],
  unstated: number,
): Judgement {
  const needed = obligations.filter(({ id }) => NEEDED.includes(id));
  const failed = needed.find(({ verdict }) => verdict === "fail");
  if (failed !== undefined) return withoutId(failed);
  const absent = pinned.find((stream) => !streams.some((window) => window.stream === stream));
  if (absent !== undefined) return doubt("window.none", absent, "a pinned gateway of which the bundle holds nothing");
  const doubted = needed.find(({ verdict }) => verdict !== "pass");
  if (doubted !== undefined) return withoutId(doubted);
  if (unstated > 0) return doubt("field.not-configured", "bundle", `${unstated} calls do not say whom they are about`);
  return { verdict: "pass", detail: `${pinned.length} gateways, every declared window whole` };
}

function withoutId({ id: _, required: __, ...judgement }: VerificationResult["obligations"][number]): Judgement {
  return judgement;
}
