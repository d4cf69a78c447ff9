/** The JSON rows of the index and their shapes. They are ours: one that does not fit its shape is damage. */

import { ERROR_CODES, type ErrorCode } from "../../kernel/error-codes.ts";
import { FormatError } from "../../kernel/errors.ts";
import { type Hex64, hex64Shape } from "../../kernel/receipt/fields.ts";
import type { ReceiptKind } from "../../kernel/receipt/receipt.ts";
import {
  ACTIONS,
  type Action,
  JUDGEMENTS,
  type Judgement,
  MODES,
  type Mode,
  STATUSES,
  type Status,
} from "../../kernel/receipt/vocabulary.ts";
import {
  array,
  boolean,
  integer,
  literal,
  type Members,
  mapped,
  nullable,
  object,
  optional,
  type Shape,
  string,
} from "../../kernel/shape.ts";
import { ALGS, type PublicKeyJson } from "../../kernel/signature/public-key.ts";
import type { StreamTip } from "../../kernel/stream/stream-state.ts";

/** What a check found. `not_established` says why in `code` or `reason`; it is never a pass. */
export type Check = { readonly verdict: "pass" | "fail" | "not_established"; readonly code?: ErrorCode };

/** What this node itself checked about a receipt. */
export type ReceiptChecks = {
  /** The entry's leaf is in the witnessed tree. */
  readonly inclusion: Check;
  /** Signed by the keys that its stream registered with this log. Whose keys they are is another question. */
  readonly signature: Check;
  /** It follows the receipt before it. */
  readonly continuity: Check;
};

/** The policy bundle in force at a decision. */
export type PolicyFact = { readonly digest: string; readonly version: string };

/** What the index knows of a receipt; the entry itself is the truth. */
export type ReceiptRow = {
  readonly index: number;
  readonly leaf: Hex64;
  readonly stream: Hex64;
  readonly seq: number;
  readonly kind: ReceiptKind;
  readonly time: string;
  readonly tool?: string;
  readonly server?: string;
  readonly session?: string;
  readonly method?: string;
  readonly action?: Action;
  readonly judgement?: Judgement;
  readonly would_deny?: boolean;
  readonly mode?: Mode;
  readonly step?: string;
  readonly reasons?: readonly string[];
  readonly policies?: readonly string[];
  readonly policy?: PolicyFact;
  readonly status?: Status;
  readonly effect?: string;
  readonly decision_seq?: number;
  readonly checks: ReceiptChecks;
};

const text = string({ maxLength: 512 });
const texts = array(text, { max: 64 });
/** Keys in rows were checked before they were written; they are read as keys where they are used. */
const keyShape: Shape<PublicKeyJson> = object<PublicKeyJson>({
  alg: literal(...ALGS),
  key: string({ maxLength: 4096 }),
});

const checkShape: Shape<Check> = object<Check>({
  verdict: literal("pass", "fail", "not_established"),
  code: optional(mapped(text, parseErrorCode)),
});

const KINDS = [
  "stream-open",
  "policy-load",
  "catalog-load",
  "session-open",
  "decision",
  "outcome",
  "session-seal",
  "heartbeat",
  "refusals",
  "drift",
  "operator-action",
  "admission",
  "stream-close",
] as const satisfies readonly ReceiptKind[];

/** Shape of a receipt row. */
export const receiptRowShape: Shape<ReceiptRow> = object<ReceiptRow>({
  index: integer(),
  leaf: hex64Shape,
  stream: hex64Shape,
  seq: integer(),
  kind: literal(...KINDS),
  time: text,
  tool: optional(text),
  server: optional(text),
  session: optional(text),
  method: optional(text),
  action: optional(literal(...ACTIONS)),
  judgement: optional(literal(...JUDGEMENTS)),
  would_deny: optional(boolean()),
  mode: optional(literal(...MODES)),
  step: optional(text),
  reasons: optional(texts),
  policies: optional(texts),
  policy: optional(object<PolicyFact>({ digest: text, version: text })),
  status: optional(literal(...STATUSES)),
  effect: optional(text),
  decision_seq: optional(integer()),
  checks: object<ReceiptChecks>({ inclusion: checkShape, signature: checkShape, continuity: checkShape }),
});

/** A run of sequence numbers, both ends inclusive, that the log does not hold. */
export type Gap = { readonly from: number; readonly to: number };

/** The registration that admitted a stream. */
export type RegistrationRow = {
  readonly index: number;
  readonly leaf: Hex64;
  readonly stream: Hex64;
  readonly time: string;
  readonly label?: string;
  readonly evidence: string;
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
};

/** Shape of a registration row. */
export const registrationRowShape: Shape<RegistrationRow> = object<RegistrationRow>({
  index: integer(),
  leaf: hex64Shape,
  stream: hex64Shape,
  time: text,
  label: optional(text),
  evidence: text,
  instance_key: keyShape,
  receipt_key: keyShape,
});

/** What the stream's first receipt declares. */
export type StreamDeclaration = {
  readonly key_protection: string;
  readonly heartbeat_seconds: number;
  readonly session_ttl_seconds: number;
  readonly software: string;
  readonly predecessor?: string;
};

/** One stream. */
export type StreamRow = {
  readonly id: Hex64;
  /** Index of the first entry that concerns it. */
  readonly first_index: number;
  readonly last_index: number;
  readonly last_time?: string;
  /** Receipts that are signed and in their place. */
  readonly receipts: number;
  /** Receipts that failed a check. */
  readonly faults: number;
  /** State after the last good receipt. */
  readonly tip?: StreamTip;
  readonly registration?: RegistrationRow;
  readonly declared?: StreamDeclaration;
  /** At most 64; `more_gaps` counts the rest. */
  readonly gaps: readonly Gap[];
  readonly more_gaps: number;
};

const tipShape: Shape<StreamTip> = object<StreamTip>({
  log: text,
  instance_key: keyShape,
  receipt_key: keyShape,
  next_seq: integer(),
  last: hex64Shape,
  closed: boolean(),
});

/** Shape of a stream row. */
export const streamRowShape: Shape<StreamRow> = object<StreamRow>({
  id: hex64Shape,
  first_index: integer(),
  last_index: integer(),
  last_time: optional(text),
  receipts: integer(),
  faults: integer(),
  tip: optional(tipShape),
  registration: optional(registrationRowShape),
  declared: optional(
    object<StreamDeclaration>({
      key_protection: text,
      heartbeat_seconds: integer(),
      session_ttl_seconds: integer(),
      software: text,
      predecessor: optional(text),
    }),
  ),
  gaps: array(object<Gap>({ from: integer(), to: integer() }), { max: 64 }),
  more_gaps: integer(),
});

/** Calls of a session, as counted here or as its seal says. */
export type CallCounts = {
  readonly total: number;
  readonly allowed: number;
  readonly denied: number;
  readonly faulted: number;
  readonly open: number;
};

/** The end of a session. */
export type SealRow = {
  readonly index: number;
  readonly time: string;
  readonly reason: string;
  readonly calls: CallCounts;
};

/** One session of one stream. */
export type SessionRow = {
  readonly id: string;
  readonly stream: Hex64;
  readonly open_index: number;
  readonly opened: string;
  readonly source: string;
  readonly trust: string;
  readonly last_index: number;
  readonly last_time: string;
  /** Counted here from the receipts. */
  readonly calls: CallCounts;
  readonly seal?: SealRow;
};

const countMembers: Members<CallCounts> = {
  total: integer(),
  allowed: integer(),
  denied: integer(),
  faulted: integer(),
  open: integer(),
};

/** Shape of a session row. */
export const sessionRowShape: Shape<SessionRow> = object<SessionRow>({
  id: text,
  stream: hex64Shape,
  open_index: integer(),
  opened: text,
  source: text,
  trust: text,
  last_index: integer(),
  last_time: text,
  calls: object<CallCounts>(countMembers),
  seal: optional(
    object<SealRow>({ index: integer(), time: text, reason: text, calls: object<CallCounts>(countMembers) }),
  ),
});

/** First and last index of the receipts of a day or minute. */
export type BucketRow = { readonly first: number; readonly last: number };

/** Shape of a bucket row. */
export const bucketRowShape: Shape<BucketRow> = object<BucketRow>({ first: integer(), last: integer() });

/** A cosignature of a pinned witness, checked; POSIX seconds of the witness's clock. */
export type CosignatureFact = { readonly witness: string; readonly seconds: number };

/** A tree head that was accepted, with the note that says so. */
export type HeadFact = {
  readonly size: number;
  readonly root: Hex64;
  readonly note: string;
  readonly cosignatures: readonly CosignatureFact[];
};

/** How far the follower is. */
export type HeadRow = {
  readonly format: 1;
  readonly log_kind: "receipts" | "raw" | "unknown";
  /** Entries that are indexed; each is proven to be in `target`. */
  readonly indexed: number;
  /** Right edge of the tree of the indexed entries. */
  readonly edge: readonly Hex64[];
  /** The newest checkpoint that was witnessed and consistent with all before it. */
  readonly target: HeadFact | null;
  /** The newest one whose root was recomputed from all entries. */
  readonly verified: HeadFact | null;
  /** Two histories were seen: nothing more of this ledger is taken. */
  readonly forked: boolean;
};

const headFactShape: Shape<HeadFact> = object<HeadFact>({
  size: integer(),
  root: hex64Shape,
  note: string({ maxLength: 131_072 }),
  cosignatures: array(object<CosignatureFact>({ witness: text, seconds: integer() }), { max: 128 }),
});

/** Shape of the head row. */
export const headRowShape: Shape<HeadRow> = object<HeadRow>({
  format: literal(1),
  log_kind: literal("receipts", "raw", "unknown"),
  indexed: integer(),
  edge: array(hex64Shape, { max: 64 }),
  target: nullable(headFactShape),
  verified: nullable(headFactShape),
  forked: boolean(),
});

/** The state before the first checkpoint. */
export const FIRST_HEAD: HeadRow = {
  format: 1,
  log_kind: "unknown",
  indexed: 0,
  edge: [],
  target: null,
  verified: null,
  forked: false,
};

/** The newest cosignature of each witness that was seen. */
export type WitnessRow = { readonly name: string; readonly seconds: number; readonly size: number };
/** Shape of the witness rows, which are kept as one. */
export const witnessRowsShape: Shape<{ readonly witnesses: readonly WitnessRow[] }> = object<{
  readonly witnesses: readonly WitnessRow[];
}>({
  witnesses: array(object<WitnessRow>({ name: text, seconds: integer(), size: integer() }), { max: 1024 }),
});

/** A code of the closed list. @throws {FormatError} ERR_SHAPE */
export function parseErrorCode(text: string): ErrorCode {
  if (isErrorCode(text)) return text;
  throw new FormatError("ERR_SHAPE", "want an error code of the closed list");
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}
