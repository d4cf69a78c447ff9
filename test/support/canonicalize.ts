/** The independent JCS implementation `canonicalize`, whose published types do not fit its CommonJS module. */

import { createRequire } from "node:module";

const peer: (value: unknown) => string | undefined = createRequire(import.meta.url)("canonicalize");

/** RFC 8785 form of `value` as the peer writes it. */
export function canonicalizeByPeer(value: unknown): string | undefined {
  return peer(value);
}
