/** The members that every receipt of a stream has, whatever its kind. */

import { integer, literal, type Members, optional, timestamp } from "../shape.ts";
import { marked } from "../shape-spans.ts";
import type { Timestamp } from "../time.ts";
import { type AttestationField, attestationShape, type Hex64, hex64Shape } from "./fields.ts";

/** Place of a receipt in its stream. `prev` is absent if and only if `seq` is 0. */
export type StreamHeader = {
  readonly v: 1;
  /** The stream's id: kid of the gateway's instance key. */
  readonly stream: Hex64;
  /** 0-based position in the stream, without gaps. */
  readonly seq: number;
  /** SHA-256 of the previous receipt's bytes. */
  readonly prev?: Hex64;
  /** The gateway's clock when the receipt was made. */
  readonly time: Timestamp;
  /** Hardware evidence about the key that signs; never omitted. */
  readonly attestation: AttestationField;
};

/** Shapes of the header's members, to be spread into the shape of a kind. */
export const headerMembers: Members<StreamHeader> = {
  v: literal(1),
  stream: hex64Shape,
  seq: integer(),
  // A receipt is drafted before the hash of the one before it is known.
  prev: optional(marked(hex64Shape)),
  time: timestamp(),
  attestation: attestationShape,
};
