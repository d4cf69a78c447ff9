/**
 * Stream-open receipt (seq 0): declares the stream's home log, keys and rhythm. It is signed by the instance key and by
 * the receipt key, which certifies the receipt key for the rest of the stream.
 */

import { FormatError } from "../errors.ts";
import { integer, literal, mapped, object, optional, type Shape, string } from "../shape.ts";
import { type Signed, signaturesShape } from "../signature/envelope.ts";
import type { PublicKeyJson } from "../signature/public-key.ts";
import {
  type Digest,
  digestShape,
  type Hex64,
  hex64Shape,
  publicKeyJsonShape,
  type Version,
  versionShape,
} from "./fields.ts";
import { headerMembers, type StreamHeader } from "./header.ts";
import {
  DURABILITIES,
  type Durability,
  KEY_PROTECTIONS,
  type KeyProtection,
  SUCCESSION_REASONS,
  type SuccessionReason,
} from "./vocabulary.ts";

/** The gateway's software. `name`: `[a-z0-9][a-z0-9-]{0,31}`. */
export type Software = { readonly name: string; readonly version: Version };

/** A stream that ended without this one's keys. */
export type Predecessor = { readonly stream: Hex64; readonly reason: SuccessionReason };

/** Body of a stream-open receipt. `stream` is the kid of `instance_key`. */
export type StreamOpenBody = StreamHeader & {
  readonly kind: "stream-open";
  /** Origin of the home log; a copy in another log proves no completeness. */
  readonly log: string;
  readonly instance_key: PublicKeyJson;
  readonly receipt_key: PublicKeyJson;
  readonly key_protection: KeyProtection;
  /** Longest silence of a living stream. */
  readonly heartbeat_seconds: number;
  /** Longest life of a session without a seal. */
  readonly session_ttl_seconds: number;
  readonly durability: Durability;
  /** Digest of the capture-scope statement: which paths are covered and which are not. */
  readonly boundary: Digest;
  readonly software: Software;
  /** The stream that this one replaces, and why. */
  readonly predecessor?: Predecessor;
};

const MAX_SECONDS = 31_536_000;

/** A log's origin: printable ASCII without spaces and plus signs, which a note's key name cannot hold. */
export const originShape: Shape<string> = string({ pattern: /^[!-*,-~]{1,255}$/u, maxLength: 255 });

export const streamOpenShape: Shape<Signed<StreamOpenBody>> = mapped(
  object<Signed<StreamOpenBody>>({
    ...headerMembers,
    kind: literal("stream-open"),
    log: originShape,
    instance_key: publicKeyJsonShape,
    receipt_key: publicKeyJsonShape,
    key_protection: literal(...KEY_PROTECTIONS),
    heartbeat_seconds: integer({ min: 1, max: MAX_SECONDS }),
    session_ttl_seconds: integer({ min: 1, max: MAX_SECONDS }),
    durability: literal(...DURABILITIES),
    boundary: digestShape,
    software: object<Software>({
      name: string({ pattern: /^[a-z0-9][a-z0-9-]{0,31}$/u, maxLength: 32 }),
      version: versionShape,
    }),
    predecessor: optional(object<Predecessor>({ stream: hex64Shape, reason: literal(...SUCCESSION_REASONS) })),
    signatures: signaturesShape,
  }),
  checkOpen,
);

function checkOpen(receipt: Signed<StreamOpenBody>): Signed<StreamOpenBody> {
  if (receipt.predecessor?.stream !== receipt.stream) return receipt;
  throw new FormatError("ERR_SHAPE", "stream-open: want a predecessor that is another stream");
}
