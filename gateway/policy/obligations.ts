/**
 * What policies ask for beside allow or deny, and who carries it out. A bundle that asks for something which no stage of
 * the run carries out is refused: it would promise what nothing does.
 */

import { FormatError } from "../../kernel/errors.ts";
import type { Label } from "../../kernel/receipt/fields.ts";
import type { ObligationKind } from "../../kernel/receipt/vocabulary.ts";
import type { ApprovalTerms, PolicyNotes } from "./annotations.ts";
import type { BundlePolicy, PolicyBundle } from "./bundle.ts";
import { scopeEntities } from "./cedar.ts";

/** An obligation of one determining policy. */
export interface PolicyObligation {
  readonly policy: string;
  readonly kind: ObligationKind;
}

/** What one determining forbid wants before it lets go. */
export interface ApprovalDemand extends ApprovalTerms {
  readonly policy: string;
}

/** What the determining policies ask for. */
export interface Obligations {
  /** By policy id, then kind. */
  readonly obligations: readonly PolicyObligation[];
  /** True if an approval lifts the denial: it comes from forbids, and every one of them wants an approval. */
  readonly approvable: boolean;
  /** One for each determining forbid, if `approvable`: an approver has to satisfy all of them. */
  readonly approvals: readonly ApprovalDemand[];
  /** Finding codes and `<family>.*`, sorted: the union over the determining permits. */
  readonly redact: readonly string[];
  readonly neutralise: boolean;
  /** Sorted. */
  readonly taint: readonly Label[];
}

/** When an obligation is due: before a call goes out, or before its answer goes back. */
export type Moment = "request" | "respond";

/** One kind of obligation that a stage carries out at one moment. */
export interface CarriedOut {
  readonly kind: ObligationKind;
  readonly at: Moment;
}

/** Asks for nothing. */
export const NO_OBLIGATIONS: Obligations = {
  obligations: [],
  approvable: false,
  approvals: [],
  redact: [],
  neutralise: false,
  taint: [],
};

/**
 * What the determining policies of one answer ask for.
 *
 * @param notes  of the determining policies: all permits if the answer is allow, all forbids if it is deny; none if a policy
 *   has erred, since nothing lifts that
 */
export function obligationsOf(notes: readonly PolicyNotes[]): Obligations {
  if (notes.length === 0) return NO_OBLIGATIONS;
  const approvals = notes.flatMap(({ id, approval }) => (approval === undefined ? [] : [{ policy: id, ...approval }]));
  const approvable = approvals.length === notes.length;
  return {
    obligations: notes.flatMap((note) => kindsOf(note).map((kind) => ({ policy: note.id, kind }))),
    approvable,
    approvals: approvable ? approvals : [],
    redact: union(notes.map(({ redact }) => redact)),
    neutralise: notes.some(({ neutralise }) => neutralise),
    taint: union(notes.map(({ taint }) => taint)),
  };
}

/**
 * Checks that a run carries out whatever the bundle asks for.
 *
 * @throws {FormatError} ERR_POLICY_BUNDLE naming the policy
 */
export function checkCarriedOut(bundle: PolicyBundle, carriedOut: readonly CarriedOut[]): void {
  for (const policy of bundle.policies.values()) {
    for (const kind of kindsOf(policy.notes)) {
      const missing = momentsOf(policy, kind).find((at) => !carriedOut.some((it) => it.kind === kind && it.at === at));
      if (missing === undefined) continue;
      const where = missing === "request" ? "of calls" : "of results";
      throw new FormatError(
        "ERR_POLICY_BUNDLE",
        `policy "${policy.notes.id}": nothing in this gateway carries out the obligation ${kind} ${where}; ` +
          "the policy would promise what nothing does",
      );
    }
  }
}

/** The obligations of a policy. `advisory` is carried out by the evaluator itself. */
export function kindsOf(notes: PolicyNotes): readonly ObligationKind[] {
  return [
    ...(notes.approval === undefined ? [] : (["require-approval"] as const)),
    ...(notes.neutralise ? (["neutralise"] as const) : []),
    ...(notes.redact.length === 0 ? [] : (["redact"] as const)),
    ...(notes.taint.length === 0 ? [] : (["taint"] as const)),
  ];
}

/** When the obligation would be due. An unscoped policy that wants an approval wants it of calls; a result is simply denied. */
function momentsOf({ json }: BundlePolicy, kind: ObligationKind): readonly Moment[] {
  if (json.action.op === "All") return kind === "require-approval" ? ["request"] : ["request", "respond"];
  const isRespond = scopeEntities(json.action).map(({ id }) => id === "respond" || id.startsWith("respond:"));
  return [
    ...(isRespond.includes(false) ? (["request"] as const) : []),
    ...(isRespond.includes(true) ? (["respond"] as const) : []),
  ];
}

function union(lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].sort();
}
