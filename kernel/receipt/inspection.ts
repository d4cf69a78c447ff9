/** What inspection, value matching and taint found: codes, counts and declared places, never values. */

import type { Commitment, DeclaredPointer, Label, Version } from "./fields.ts";
import type { FindingCode } from "./findings.ts";
import type { Observed } from "./observed.ts";
import type { MatchKind, Severity } from "./vocabulary.ts";

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
export type Redactions = {
  readonly places: readonly { readonly rule: FindingCode; readonly pointer: DeclaredPointer; readonly count: number }[];
  readonly removed: Commitment;
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
  readonly sources: readonly { readonly label: Label; readonly seq: number }[];
};

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
