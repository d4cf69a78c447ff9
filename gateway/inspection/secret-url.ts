/** `secret.url-credentials`: a URL whose user information holds a password (RFC 3986 §3.2.1). */

import { isPlaceholder } from "./entropy.ts";
import type { Hit } from "./hit.ts";

const USER_INFO = /^[^\s/?#@:"'<>]{0,128}:([^\s/?#@"']{1,256})@[^\s/?#]/u;
const SCHEME = /[A-Za-z][A-Za-z0-9+.-]{1,31}$/u;
/** Words that documentation puts where a password goes. */
const WORDS = /^(?:pass|password|passwd|pwd|pw|secret|token|user|\*{1,64}|%[sv]|\{.{0,64}\}|\[.{0,64}\]|\$.{0,64})$/iu;

/** Finds passwords in URLs; the place is the password's. */
export function findUrlCredentials(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  for (let at = text.indexOf("://"); at >= 0; at = text.indexOf("://", at + 3)) {
    if (!SCHEME.test(text.slice(Math.max(0, at - 32), at))) continue;
    const found = USER_INFO.exec(text.slice(at + 3, at + 3 + 400));
    const password = found?.[1];
    if (found === null || password === undefined || WORDS.test(password) || isHint(password)) continue;
    const start = at + 3 + found[0].indexOf(":") + 1;
    hits.push({ rule: "secret.url-credentials", severity: "warn", start, end: start + password.length });
  }
  return hits;
}

/** A short password may repeat letters; only what names itself a stand-in is one. */
function isHint(password: string): boolean {
  return isPlaceholder(`${password}abcdefgh`);
}
