/**
 * Chains of mandates, verified hop by hop: from a key that is trusted for a principal to whoever acts. Each hop is at most
 * as wide as the one before in tools, resources, time and depth.
 */

import { CheckError, FormatError } from "../errors.ts";
import type { Hex64 } from "../receipt/fields.ts";
import { formatPublicKey, type Kid, type PublicKey } from "../signature/public-key.ts";
import { formatTimestamp } from "../time.ts";
import { type CheckedMandate, MAX_CHAIN, type Mandate, type MandateParty, parseMandate } from "./mandate.ts";
import { isWithin } from "./mandate-scope.ts";

/** Most characters of all tools of a chain, with 64 for each resource. */
export const MAX_SCOPE_CHARACTERS = 16_384;
const HASH_CHARACTERS = 64;

/** A key by which a principal makes first mandates. */
export interface MandateRoot extends MandateParty {
  readonly key: PublicKey;
}

/** A chain whose every hop holds. */
export interface MandateChain {
  /** The principal at its beginning. */
  readonly root: MandateParty;
  /** From the principal's to the holder's; at least one. */
  readonly hops: readonly Mandate[];
  /** SHA-256 of the first mandate's bytes: the same for everything that was derived from it. */
  readonly firstHash: string;
  /** The last hop: its scope is the narrowest. */
  readonly last: Mandate;
  /** Of each hop, the hash of its bytes and the key that issued it. */
  readonly links: readonly MandateLink[];
}

/** What a hop is known by. */
export interface MandateLink {
  readonly hash: Hex64;
  readonly issuer: Kid;
}

/**
 * Checks a chain.
 *
 * @param mandates  canonical bytes, the first mandate first; 1 to 8
 * @throws {FormatError} ERR_MANDATE (none, or too many), ERR_JSON_*, ERR_SHAPE
 * @throws {CheckError} ERR_MANDATE_UNTRUSTED, ERR_MANDATE_BROKEN, ERR_MANDATE_WIDER, ERR_MANDATE_EXPIRED, ERR_KEY_*
 */
export function checkMandateChain(
  mandates: readonly Uint8Array[],
  roots: readonly MandateRoot[],
  nowMs: number,
): MandateChain {
  const chain = readMandateChain(mandates, roots);
  checkChainTime(chain, nowMs);
  return chain;
}

/** Everything of `checkMandateChain` that does not change with time. */
export function readMandateChain(mandates: readonly Uint8Array[], roots: readonly MandateRoot[]): MandateChain {
  if (mandates.length < 1 || mandates.length > MAX_CHAIN) {
    throw new FormatError("ERR_MANDATE", `want 1 to ${MAX_CHAIN} mandates, got ${mandates.length}`);
  }
  const checked = mandates.map(parseMandate);
  const [first] = checked;
  const last = checked.at(-1);
  if (first === undefined || last === undefined) throw new FormatError("ERR_MANDATE", "want a mandate");
  checkRoom(checked);
  const root = checkRoot(first, roots);
  for (const [index, mandate] of checked.entries()) {
    const before = checked[index - 1];
    if (before !== undefined) checkHop(before, mandate);
  }
  const links = checked.map(({ hash, issuerKey }) => ({ hash, issuer: issuerKey.kid }));
  return { root, hops: checked.map(({ mandate }) => mandate), firstHash: first.hash, last: last.mandate, links };
}

/** Checks that it is the time of every hop. @throws {CheckError} ERR_MANDATE_EXPIRED */
export function checkChainTime({ hops }: MandateChain, nowMs: number): void {
  for (const mandate of hops) checkTime(mandate, nowMs);
}

/** Checks that the chain ends at this party. @throws {CheckError} ERR_MANDATE_HOLDER */
export function checkHolder({ last }: MandateChain, { issuer, name }: MandateParty): void {
  if (last.holder.issuer === issuer && last.holder.name === name) return;
  throw new CheckError("ERR_MANDATE_HOLDER", "the last mandate is somebody else's");
}

/** A receipt must hold the chain: what it needs for tools, and a keyed hash for each resource. */
function checkRoom(checked: readonly CheckedMandate[]): void {
  const lengths = checked.map(({ mandate: { scope } }) => {
    return scope.tools.reduce((sum, tool) => sum + tool.length, 0) + scope.resources.length * HASH_CHARACTERS;
  });
  if (lengths.reduce((sum, length) => sum + length, 0) <= MAX_SCOPE_CHARACTERS) return;
  throw new FormatError("ERR_MANDATE", `want scopes of at most ${MAX_SCOPE_CHARACTERS} characters in all`);
}

function checkRoot({ mandate, issuerKey }: CheckedMandate, roots: readonly MandateRoot[]): MandateParty {
  // A first mandate that was cut off the chain names its parent, so it cannot pass for one.
  if (mandate.parent !== null) throw new CheckError("ERR_MANDATE_BROKEN", "the first mandate names one before it");
  const root = roots.find(({ key }) => key.kid === issuerKey.kid);
  if (root === undefined) throw new CheckError("ERR_MANDATE_UNTRUSTED", `nobody trusts the key ${issuerKey.kid}`);
  return { issuer: root.issuer, name: root.name };
}

function checkHop(before: CheckedMandate, { mandate, issuerKey }: CheckedMandate): void {
  const { key } = before.mandate.holder;
  const { alg, key: bytes } = formatPublicKey(issuerKey);
  if (mandate.parent !== before.hash || key === null || key.alg !== alg || key.key !== bytes) {
    throw new CheckError("ERR_MANDATE_BROKEN", "a mandate does not follow from the one before it");
  }
  const outer = before.mandate;
  const isInTime = mandate.not_before >= outer.not_before && mandate.not_after <= outer.not_after;
  if (!isInTime || mandate.depth >= outer.depth || !isWithin(mandate.scope, outer.scope)) {
    throw new CheckError("ERR_MANDATE_WIDER", "a mandate grants more than the one before it");
  }
}

function checkTime(mandate: Mandate, nowMs: number): void {
  const now = formatTimestamp(nowMs);
  if (now >= mandate.not_before && now < mandate.not_after) return;
  throw new CheckError("ERR_MANDATE_EXPIRED", "a mandate is not valid at this time");
}
