/** Nonces for proofs of possession (RFC 9449 §9), without a memory: a keyed hash of the minute in which they were given. */

import { hmacSha256 } from "#crypto";
import { formatBase64url } from "../../kernel/base64url.ts";
import { formatUtf8 } from "../../kernel/bytes.ts";
import type { JsonValue } from "../../kernel/json/value.ts";

const BUCKET_MS = 60_000;

/** Gives nonces and knows them again, for one to two minutes. */
export interface DpopNonces {
  readonly current: (nowMs: number) => string;
  readonly isOurs: (nonce: JsonValue | undefined, nowMs: number) => boolean;
}

/** @param key  32 random bytes, of this run */
export function makeDpopNonces(key: Uint8Array): DpopNonces {
  const at = (bucket: number): string => formatBase64url(hmacSha256(key, formatUtf8(`dpop-nonce ${bucket}`)));
  const bucketOf = (nowMs: number): number => Math.floor(nowMs / BUCKET_MS);
  return {
    current: (nowMs) => at(bucketOf(nowMs)),
    isOurs: (nonce, nowMs) => nonce === at(bucketOf(nowMs)) || nonce === at(bucketOf(nowMs) - 1),
  };
}
