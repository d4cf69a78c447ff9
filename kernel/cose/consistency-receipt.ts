/** COSE receipts of consistency (RFC 9942 §5.3): `{396: {-2: [<< [old size, new size, path] >>]}}` over the newer root. */

import { formatCbor } from "../cbor/encode.ts";
import { CheckError } from "../errors.ts";
import { type ConsistencyPath, rootFromConsistency } from "../merkle/consistency-proof.ts";
import type { RootHash } from "../merkle/hash.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import { checkReceiptOver, PROOF_KIND, parseReceiptOf, type ReceiptExpectation, signReceipt } from "./receipt.ts";

/** A tree that a verifier knows, by its size and root. */
export interface KnownTree {
  readonly size: bigint;
  readonly root: RootHash;
}

/** The newer tree that a checked receipt proves. */
export interface CheckedConsistency extends KnownTree {
  /** False if the receipt has no signed tree size. */
  readonly isSizeSigned: boolean;
}

/**
 * Checks that `key`'s log signed a root of a tree that has the known tree as its prefix.
 *
 * @throws {FormatError} as `parseReceiptOf`
 * @throws {CheckError} ERR_SIZE_RANGE (another old size, or one above the new), ERR_PROOF_LENGTH, ERR_OLD_ROOT_MISMATCH,
 *   and as `checkReceiptOver`
 */
export function checkConsistencyReceipt(
  bytes: Uint8Array,
  known: KnownTree,
  expected: ReceiptExpectation,
): CheckedConsistency {
  const parsed = parseReceiptOf(PROOF_KIND.consistency, bytes);
  const [oldSize, size, proof] = parsed.proof;
  if (oldSize !== known.size) {
    throw new CheckError("ERR_SIZE_RANGE", `the receipt extends a tree of ${oldSize} leaves, not ${known.size}`);
  }
  const root = rootFromConsistency({ oldSize, oldRoot: known.root, size, proof });
  checkReceiptOver(parsed, { root, size }, expected);
  return { size, root, isSizeSigned: parsed.header.treeSize !== undefined };
}

/**
 * A receipt over the newer root, signed. The caller compares that root with a tree head that is durable.
 *
 * @throws {CheckError} ERR_SIZE_RANGE unless 0 < old size < size: RFC 9942 cannot express equal sizes; ERR_PROOF_LENGTH,
 *   ERR_OLD_ROOT_MISMATCH, ERR_COSE_ALG
 */
export function signConsistencyReceipt(
  content: ConsistencyPath & { readonly issuer: string },
  signer: EnvelopeSigner,
): Uint8Array {
  const { oldSize, size, proof, issuer } = content;
  if (oldSize === size) throw new CheckError("ERR_SIZE_RANGE", "a COSE receipt needs a newer tree that is larger");
  const root = rootFromConsistency(content);
  const bytes = formatCbor([oldSize, size, proof]);
  return signReceipt({ kind: PROOF_KIND.consistency, issuer, proof: bytes, size, root }, signer);
}
