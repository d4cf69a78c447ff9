/**
 * `pii.email`: an address of RFC 5321 shape, with letters of any script, and a dot in its domain. Handles (`@name`), package
 * scopes (`@scope/name`), remotes (`git@host:path`) and user parts of URLs are none.
 */

import type { Hit } from "./hit.ts";

/** RFC 5321 §4.5.3.1: octets of a local part and of a domain; here code units. */
const MAX_LOCAL = 64;
const MAX_DOMAIN = 253;

const LOCAL = /[\p{L}\p{N}\p{M}.!#$%&'*+/=?^_`{|}~-]/u;
const DOMAIN = /[\p{L}\p{N}\p{M}.-]/u;
const LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?$/u;
const TOP_LABEL = /^(?:xn--[a-z0-9-]{2,59}|[\p{L}\p{M}]{2,24})$/iu;
/** Pictures for dense screens are called `name@2x.png`. */
const DENSITY = /^[1-9]x$/u;
/** Characters that RFC 5321 allows and that stand before an address more often than in it. */
const EDGE = /^[.'`*_{}|/=?!#&^~-]+/u;

/** Finds e-mail addresses; cost: at most some hundred characters around each `@`. */
export function findEmails(text: string): readonly Hit[] {
  const hits: Hit[] = [];
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    const hit = addressAt(text, at);
    if (hit !== undefined) hits.push(hit);
  }
  return hits;
}

function addressAt(text: string, at: number): Hit | undefined {
  const url = urlBefore(text, at);
  const local = url === undefined ? localBefore(text, at) : localInUrl(url);
  if (local === "" || local.includes("..") || local.endsWith(".")) return undefined;
  const domain = domainBehind(text, at + 1);
  if (!isDomain(domain)) return undefined;
  const start = at - local.length;
  const end = at + 1 + domain.length;
  if (isRemote(text, end)) return undefined;
  return { rule: "pii.email", severity: "warn", start, end };
}

function localBefore(text: string, at: number): string {
  let start = at;
  while (start > 0 && at - start < MAX_LOCAL && LOCAL.test(text.charAt(start - 1))) start -= 1;
  return text.slice(start, at).replace(EDGE, "");
}

function domainBehind(text: string, from: number): string {
  let end = from;
  while (end < text.length && end - from < MAX_DOMAIN && DOMAIN.test(text.charAt(end))) end += 1;
  return text.slice(from, end).replace(/[.-]{1,253}$/u, "");
}

function isDomain(domain: string): boolean {
  const labels = domain.split(".");
  const top = labels.at(-1) ?? "";
  return (
    labels.length > 1 &&
    labels.every((label) => LABEL.test(label)) &&
    TOP_LABEL.test(top) &&
    !DENSITY.test(labels[0] ?? "")
  );
}

/** `git@host.example:path`: the colon is followed at once. */
function isRemote(text: string, end: number): boolean {
  return text.charAt(end) === ":" && /[\w/~]/u.test(text.charAt(end + 1));
}

/** Characters that are looked at for the begin of a URL: a local part, and what may stand before it. */
const MAX_URL = 256;
/** What separates the parts of a URL behind its host; an address in one is a part. */
const URL_PARTS = /[/?#&=;,:@+]/u;

/** What stands between `://` and a place in a URL; undefined if the place is in none. */
function urlBefore(text: string, at: number): string | undefined {
  const token = /[^\s"'<>]{0,256}$/u.exec(text.slice(Math.max(0, at - MAX_URL), at))?.[0] ?? "";
  const scheme = token.lastIndexOf("://");
  return scheme < 0 ? undefined : token.slice(scheme + "://".length);
}

/** The last part of a URL; empty for `user:password@host.example` before its host and for a handle, `host.example/@user@host.example`. */
function localInUrl(url: string): string {
  if (!/[/?#]/u.test(url)) return "";
  let start = url.length;
  while (start > 0 && LOCAL.test(url.charAt(start - 1)) && !URL_PARTS.test(url.charAt(start - 1))) start -= 1;
  return url.slice(0, start).endsWith("/@") ? "" : url.slice(start).replace(EDGE, "");
}
