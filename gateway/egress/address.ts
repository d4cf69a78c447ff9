/** Host names and addresses as a connection sees them: one spelling for each, and which are not of the public network. */

import { BlockList, isIP } from "node:net";

/** Networks that no public name should lead to: IANA's special-purpose registries (RFC 6890), multicast, and NAT64. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["::", 128],
  ["::1", 128],
  ["64:ff9b::", 96],
  ["64:ff9b:1::", 48],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv6");
}

/** Names that no public DNS serves (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`), and names without a dot. */
const LOCAL_NAME = /^[^.]+$|\.(?:localhost|local|internal|home\.arpa|test)$/u;

/** Lower case; an address in its shortest form, without brackets or zone. */
export function canonicalHost(host: string): string {
  const bare = host
    .replace(/^\[|\]$/gu, "")
    .replace(/%.*$/u, "")
    .replace(/\.$/u, "")
    .toLowerCase();
  if (isIP(bare) !== 6) return bare;
  return new URL(`http://[${bare}]/`).hostname.replace(/^\[|\]$/gu, "");
}

/** True for a loopback, private, link-local, multicast or reserved address. */
export function isPrivateAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  return PRIVATE.check(address, family === 6 ? "ipv6" : "ipv4");
}

/** True for a name that can only be of a network of its own. */
export function isLocalName(name: string): boolean {
  return LOCAL_NAME.test(name);
}
