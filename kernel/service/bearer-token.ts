/** Bearer tokens (RFC 6750), compared in constant time. */

import { sha256 } from "#crypto";
import { formatUtf8 } from "../bytes.ts";

const SCHEME = "Bearer ";

/** Whether an `authorization` header carries a right token. */
export type TokenMatch = (authorization: string | undefined) => boolean;

/** A match of any one of `tokens`. Digests are compared, each of them, so that neither length nor prefix shows in time. */
export function makeTokenMatch(tokens: readonly string[]): TokenMatch {
  const digests = tokens.map(digest);
  return (authorization = "") => {
    const given = digest(authorization.startsWith(SCHEME) ? authorization.slice(SCHEME.length) : "");
    return digests.filter((each) => isSame(each, given)).length > 0;
  };
}

function digest(text: string): Uint8Array {
  return sha256(formatUtf8(text));
}

/** Looks at every byte, whatever the ones before are. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (const [i, byte] of a.entries()) difference |= byte ^ (b[i] ?? 0);
  return difference === 0;
}
