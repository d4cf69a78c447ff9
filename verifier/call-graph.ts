/**
 * The call graph that receipts state: calls in their order, values of earlier answers in later arguments, answers of one
 * domain before calls of another. Order and equality are all that is claimed; what a model made of a text is not seen.
 */

import type { EvidenceBundle } from "../kernel/bundle.ts";
import type { DecisionBody } from "../kernel/receipt/decision.ts";
import type { Label } from "../kernel/receipt/fields.ts";
import { observedValue } from "../kernel/receipt/observed.ts";
import type { OutcomeBody } from "../kernel/receipt/outcome.ts";
import type { Action, Judgement, MatchKind, Status } from "../kernel/receipt/vocabulary.ts";
import { readEntries } from "./read-entries.ts";

/** One decided call. */
export interface CallNode {
  readonly stream: string;
  /** Number of the decision receipt. */
  readonly seq: number;
  readonly session: string | null;
  readonly time: string;
  readonly server: string | null;
  /** The approved name; null for names and URIs that appear as commitments. */
  readonly name: string | null;
  readonly action: Action;
  readonly judgement: Judgement;
  /** Null while no outcome is known. */
  readonly status: Status | null;
  /** Labels of the session when the call was decided. */
  readonly labels: readonly Label[];
}

/** A tie between two calls of one session. */
export interface CallEdge {
  readonly stream: string;
  /** Decision of the earlier call, and of the later one. */
  readonly from: number;
  readonly to: number;
  /** `order`: the one came before the other and belongs to another domain. `match`: a value is repeated. */
  readonly kind: "order" | "match";
  /** How and where the value is repeated. */
  readonly match?: { readonly kind: MatchKind; readonly pointer: string; readonly count: number };
  readonly domains?: { readonly from: Label; readonly to: Label };
}

/** All calls of the receipts, by stream and number. */
export interface CallGraph {
  readonly nodes: readonly CallNode[];
  readonly edges: readonly CallEdge[];
}

/** What the receipts of a bundle state; nothing is verified. */
export function callGraph(bundle: EvidenceBundle): CallGraph {
  const receipts = readEntries(bundle).receipts.map(({ receipt }) => receipt);
  const decisions = receipts.filter((receipt) => receipt.kind === "decision");
  const outcomes = receipts.filter((receipt) => receipt.kind === "outcome");
  const ended = new Map(outcomes.map((outcome) => [placeOf(outcome.stream, outcome.call.decision_seq), outcome]));
  const decisionOf = new Map(outcomes.map(({ stream, seq, call }) => [placeOf(stream, seq), call.decision_seq]));
  return {
    nodes: decisions.map((decision) => nodeOf(decision, ended.get(placeOf(decision.stream, decision.seq)))),
    edges: decisions.flatMap((decision) => edgesOf(decision, decisionOf)),
  };
}

/** Names a receipt of a stream. */
export function placeOf(stream: string, seq: number): string {
  return `${stream}/${seq}`;
}

function nodeOf(decision: DecisionBody, outcome: OutcomeBody | undefined): CallNode {
  const name = observedValue(decision.wire.mcp_name);
  return {
    stream: decision.stream,
    seq: decision.seq,
    session: observedValue(decision.session)?.id ?? null,
    time: decision.time,
    server: observedValue(decision.server)?.id ?? null,
    name: name?.form === "name" ? name.name : null,
    action: decision.ruling.action,
    judgement: decision.ruling.judgement,
    status: outcome?.outcome.status ?? null,
    labels: observedValue(decision.taint)?.before ?? [],
  };
}

/** Ties to earlier calls. An earlier receipt that the bundle does not show is named by its own number. */
function edgesOf(decision: DecisionBody, decisionOf: ReadonlyMap<string, number>): readonly CallEdge[] {
  const { stream, seq } = decision;
  const base = (source: number): Pick<CallEdge, "stream" | "from" | "to"> => ({
    stream,
    from: decisionOf.get(placeOf(stream, source)) ?? source,
    to: seq,
  });
  const domains = observedValue(decision.edges) ?? [];
  const matches = observedValue(decision.matches)?.items ?? [];
  return [
    ...matches.map(({ source, kind, pointer, count }): CallEdge => {
      const crossed = domains.find((edge) => edge.kind === "match" && edge.source === source);
      const across = crossed === undefined ? {} : { domains: { from: crossed.from, to: crossed.to } };
      return { ...base(source), kind: "match", match: { kind, pointer, count }, ...across };
    }),
    ...domains
      .filter(({ kind }) => kind === "order")
      .map(({ source, from, to }): CallEdge => ({ ...base(source), kind: "order", domains: { from, to } })),
  ];
}
