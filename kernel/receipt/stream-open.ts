/**
 * Stream-open receipt (seq 0): declares the stream's home log, keys and rhythm. It is signed by the instance key and by
 * the receipt key, which certifies the receipt key for the rest of the stream.
 */

import type { PublicKeyJson } from "../signature/public-key.ts";
import type { Digest, Hex64, Version } from "./fields.ts";
import type { StreamHeader } from "./header.ts";
import type { Durability, KeyProtection, SuccessionReason } from "./vocabulary.ts";

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
  /** `name`: `[a-z0-9][a-z0-9-]{0,31}`. */
  readonly software: { readonly name: string; readonly version: Version };
  /** The stream that this one replaces, and why. */
  readonly predecessor?: { readonly stream: Hex64; readonly reason: SuccessionReason };
};
