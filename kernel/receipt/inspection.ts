/** What inspection, value matching and taint found: codes, counts and declared places, never values. */

import { array, boolean, integer, literal, type Members, object, type Shape } from "../shape.ts";
import {
  type Commitment,
  commitmentShape,
  type DeclaredPointer,
  declaredPointerShape,
  type Label,
  labelShape,
  labelsShape,
  seqShape,
  type Version,
  versionShape,
} from "./fields.ts";
import { type FindingCode, findingCodeShape } from "./findings.ts";
import { type Observed, observed } from "./observed.ts";
import { MATCH_KINDS, type MatchKind, SEVERITIES, type Severity } from "./vocabulary.ts";

/** Occurrences of one rule at one declared place. */
export type Finding = {
  readonly rule: FindingCode;
  readonly severity: Severity;
  readonly pointer: DeclaredPointer;
  readonly count: number;
};

/** One inspection of one message. At most 64 findings; beyond that they are merged under the pointer "". */
export type Inspection = {
  /** Version of the inspector's rules. */
  readonly inspector: Version;
  readonly findings: readonly Finding[];
  /** Bytes of images, audio and blobs that nobody read. */
  readonly uninspected_bytes: number;
};

/** What a redaction took out; `removed` commits to the exact paths and values. */
export type Redactions = { readonly places: readonly RedactedPlace[]; readonly removed: Commitment };

/** What one rule redacted at one declared place. */
export type RedactedPlace = {
  readonly rule: FindingCode;
  readonly pointer: DeclaredPointer;
  readonly count: number;
};

/** Argument values equal to values of an earlier result in the session; `source` is that outcome's seq. */
export type ValueMatch = {
  readonly source: number;
  readonly pointer: DeclaredPointer;
  readonly kind: MatchKind;
  readonly count: number;
};

/** Value matches of a call. `bounded`: the memory of the session was full, so older values were not compared. */
export type ValueMatches = { readonly items: readonly ValueMatch[]; readonly bounded: boolean };

/** Labels of the session before and after, and the receipt that brought each. Co-occurrence, not derivation. */
export type Taint = {
  readonly before: readonly Label[];
  readonly after: readonly Label[];
  readonly sources: readonly TaintSource[];
};

/** The receipt that brought a label into the session. */
export type TaintSource = { readonly label: Label; readonly seq: number };

/** An edge of the call graph that mattered to the decision: the earlier receipt, how it is tied, and both domains. */
export type Edge = {
  readonly source: number;
  readonly kind: "order" | "match";
  readonly from: Label;
  readonly to: Label;
};

/** What both receipts of a call say about the data in it. */
export type DataFacts = {
  readonly inspection: Observed<Inspection>;
  readonly redactions: Observed<Redactions>;
  readonly matches: Observed<ValueMatches>;
  readonly taint: Observed<Taint>;
  readonly edges: Observed<readonly Edge[]>;
};

/** Most findings, places and matches of one receipt. */
const MAX_ITEMS = 64;

export const findingShape: Shape<Finding> = object<Finding>({
  rule: findingCodeShape,
  severity: literal(...SEVERITIES),
  pointer: declaredPointerShape,
  count: integer({ min: 1 }),
});

export const findingsShape: Shape<readonly Finding[]> = array(findingShape, { max: MAX_ITEMS });

const redactionsShape: Shape<Redactions> = object<Redactions>({
  places: array(
    object<RedactedPlace>({ rule: findingCodeShape, pointer: declaredPointerShape, count: integer({ min: 1 }) }),
    { min: 1, max: MAX_ITEMS },
  ),
  removed: commitmentShape,
});

const matchesShape: Shape<ValueMatches> = object<ValueMatches>({
  items: array(
    object<ValueMatch>({
      source: seqShape,
      pointer: declaredPointerShape,
      kind: literal(...MATCH_KINDS),
      count: integer({ min: 1 }),
    }),
    { max: MAX_ITEMS },
  ),
  bounded: boolean(),
});

const taintShape: Shape<Taint> = object<Taint>({
  before: labelsShape,
  after: labelsShape,
  sources: array(object<TaintSource>({ label: labelShape, seq: seqShape }), { max: MAX_ITEMS }),
});

const edgesShape: Shape<readonly Edge[]> = array(
  object<Edge>({ source: seqShape, kind: literal("order", "match"), from: labelShape, to: labelShape }),
  { max: MAX_ITEMS },
);

/** Shapes of the members of `DataFacts`, to be spread into the shape of a kind. */
export const dataFactsMembers: Members<DataFacts> = {
  inspection: observed(
    object<Inspection>({ inspector: versionShape, findings: findingsShape, uninspected_bytes: integer() }),
  ),
  redactions: observed(redactionsShape),
  matches: observed(matchesShape),
  taint: observed(taintShape),
  edges: observed(edgesShape),
};
