/**
 * Segment: N consecutive receipts of one stream and one signature over their range, so that a ledger admits N receipts
 * with one check. Wire form: NDJSON, the envelope on line 1, then the exact bytes of each receipt, each line ended by LF.
 */

import type { Hex64 } from "./receipt/fields.ts";
import type { Signed } from "./signature/envelope.ts";

/** Body of a segment envelope. `prev` is absent if and only if `first_seq` is 0. */
export type SegmentBody = {
  readonly kind: "segment";
  readonly v: 1;
  /** Origin of the log it is sent to. */
  readonly origin: string;
  readonly stream: Hex64;
  readonly first_seq: number;
  /** 1..1024 */
  readonly count: number;
  /** Receipt hash of the receipt before the first. */
  readonly prev?: Hex64;
  /** Receipt hash of the last receipt. */
  readonly last: Hex64;
  /** RFC 6962 root over the receipts' leaf hashes. */
  readonly root: Hex64;
};

/** A segment envelope signed by the stream's receipt key. */
export type Segment = Signed<SegmentBody>;
