/** `pii.ip`: IPv4 and IPv6 addresses, but for loopback, link-local and unspecified ones, network masks and versions. */

import { isIPv4, isIPv6 } from "node:net";
import type { Hit } from "./hit.ts";

const V4 = /(?<![\p{L}\p{N}_.]|\p{L}\/|[vV]ersion[ :]?)\d{1,3}(?:\.\d{1,3}){3}(?![\p{L}\p{N}_]|\.\d)/gu;
const V6 = /(?<![\p{L}\p{N}_:.])[0-9A-Fa-f:]{6,39}(?![\p{L}\p{N}_:])/gu;

/** Finds addresses of version 4. */
export function findIpV4s(text: string): readonly Hit[] {
  return hitsOf(V4, text, (address) => isIPv4(address) && isPersonalV4(address));
}

/** Finds addresses of version 6. */
export function findIpV6s(text: string): readonly Hit[] {
  return hitsOf(V6, text, isPersonalV6);
}

function hitsOf(pattern: RegExp, text: string, isFound: (address: string) => boolean): readonly Hit[] {
  return [...text.matchAll(pattern)]
    .filter(({ 0: address }) => isFound(address))
    .map(({ 0: address, index }) => ({ rule: "pii.ip", severity: "warn", start: index, end: index + address.length }));
}

function isPersonalV4(address: string): boolean {
  return !/^(?:0|127|255)\.|^169\.254\./u.test(address);
}

/** `a::b` is a path in some languages, so three groups are the least; link-local is fe80::/10. */
function isPersonalV6(address: string): boolean {
  if (!isIPv6(address) || address.split(":").filter((group) => group !== "").length < 3) return false;
  return /\d/u.test(address) && !/^fe[89ab]/iu.test(address);
}
