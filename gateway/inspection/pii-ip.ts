/** `pii.ip`: IPv4 and IPv6 addresses, but for loopback, link-local and unspecified ones, network masks and versions. */

import { isIPv4, isIPv6 } from "node:net";
import type { Hit } from "./hit.ts";

const V4 = /(?<![\p{L}\p{N}_.]|\p{L}\/|[vV]ersion[ :]?)\d{1,3}(?:\.\d{1,3}){3}(?![\p{L}\p{N}_]|\.\d)/gu;
const V6 = /(?<![\p{L}\p{N}_:.])[0-9A-Fa-f:]{6,39}(?![\p{L}\p{N}_:])/gu;

/** Finds addresses. */
export function findIps(text: string): readonly Hit[] {
  const v4 = text.includes(".")
    ? [...text.matchAll(V4)].filter(({ 0: address }) => isIPv4(address) && isPersonalV4(address))
    : [];
  const v6 = text.includes(":") ? [...text.matchAll(V6)].filter(({ 0: address }) => isPersonalV6(address)) : [];
  return [...v4, ...v6].map(({ 0: address, index }) => ({
    rule: "pii.ip",
    severity: "warn",
    start: index,
    end: index + address.length,
  }));
}

function isPersonalV4(address: string): boolean {
  return !/^(?:0|127|255)\.|^169\.254\./u.test(address);
}

/** `a::b` is a path in some languages, so three groups are the least; link-local is fe80::/10. */
function isPersonalV6(address: string): boolean {
  if (!isIPv6(address) || address.split(":").filter((group) => group !== "").length < 3) return false;
  return /\d/u.test(address) && !/^fe[89ab]/iu.test(address);
}
