/** `secret.private-key`: a PEM header of a private key (RFC 7468) with at least one line of body. Public keys are none. */

import type { Hit } from "./hit.ts";

const HEADER = /-----BEGIN (?:[A-Z0-9]{2,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/gu;
const FOOTER = "-----END ";
/** Line ends, also as JSON and shells escape them, then at least sixteen characters of base64. */
const BODY = /^(?:\s|\\[nr]){1,8}(?:[A-Za-z-]{1,32}: [^\n]{0,200}\n\s{0,4}){0,4}[A-Za-z0-9+/]{16}/u;
/** The longest RSA keys fit in this. */
const MAX_BLOCK = 16_384;

/** Finds private keys: from the header to the end of the block. */
export function findPrivateKeys(text: string): readonly Hit[] {
  return [...text.matchAll(HEADER)].flatMap(({ 0: header, index }) => {
    const from = index + header.length;
    const block = text.slice(from, from + MAX_BLOCK);
    if (!BODY.test(block.slice(0, 2048))) return [];
    return [
      { rule: "secret.private-key", severity: "warn", start: index, end: from + blockLength(block) } satisfies Hit,
    ];
  });
}

/** Up to the footer's line, or to what is no base64 any more. */
function blockLength(block: string): number {
  const footer = block.indexOf(FOOTER);
  if (footer < 0) return /^[A-Za-z0-9+/=\s\\]*/u.exec(block)?.[0].length ?? 0;
  const close = block.indexOf("-----", footer + FOOTER.length);
  return close < 0 ? block.length : close + 5;
}
