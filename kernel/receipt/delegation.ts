/**
 * The delegation chain of a receipt: its links, recomputed, and its scopes, never wider than the one before. A hop that was
 * taken out or widened does not pass. Resource prefixes are keyed hashes, which show equality and nothing else: that one
 * prefix lies under another is shown by the mandates themselves.
 */

import { sha256 } from "#crypto";
import { FormatError } from "../errors.ts";
import { formatHex } from "../hex.ts";
import { canonicalBytes } from "../json/canonical.ts";
import { areToolsWithin } from "../mandate/mandate-scope.ts";
import type { Delegation, DelegationHop } from "./identity.ts";

/** `link` of a hop: SHA-256(JCS({delegator, delegate, scope, previous})); `previous` is the link before, or null. */
export function linkOf({ delegator, delegate, scope }: Omit<DelegationHop, "link">, previous: string | null): string {
  return formatHex(sha256(canonicalBytes({ delegator, delegate, scope, previous })));
}

/**
 * The delegation as it is, if its chain holds.
 *
 * @throws {FormatError} ERR_SHAPE
 */
export function checkDelegation(delegation: Delegation): Delegation {
  const { hops } = delegation;
  for (const [index, hop] of hops.entries()) {
    const before = hops[index - 1];
    if (hop.link !== linkOf(hop, before?.link ?? null)) throw broken("a link that is not that of its hop");
    if (before !== undefined) checkFollows(before, hop);
  }
  return delegation;
}

function checkFollows(before: DelegationHop, hop: DelegationHop): void {
  if (hop.delegator !== before.delegate) throw broken("a hop by somebody else than the delegate before");
  const [outer, inner] = [before.scope, hop.scope];
  if (inner.not_after > outer.not_after || inner.depth >= outer.depth || !areToolsWithin(inner.tools, outer.tools)) {
    throw broken("a hop that is wider than the one before");
  }
}

function broken(what: string): FormatError {
  return new FormatError("ERR_SHAPE", `delegation: ${what}`);
}
