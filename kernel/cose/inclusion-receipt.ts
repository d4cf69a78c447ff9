/** COSE receipts of inclusion (RFC 9942 §5.2): `{396: {-1: [<< [tree size, leaf index, path] >>]}}`. */

import { formatCbor } from "../cbor/encode.ts";
import { CheckError } from "../errors.ts";
import type { LeafHash, NodeHash, RootHash } from "../merkle/hash.ts";
import { type InclusionPath, rootFromInclusion } from "../merkle/inclusion-proof.ts";
import type { EnvelopeSigner } from "../signature/signer.ts";
import {
  checkReceiptOver,
  PROOF_KIND,
  parseReceiptOf,
  type ReceiptExpectation,
  type ReceiptHeader,
  signReceipt,
} from "./receipt.ts";

/** A receipt of inclusion in parts, nothing verified. */
export interface InclusionReceipt extends ReceiptHeader {
  /** Leaves of the tree, as the proof says. Only a signed `treeSize` authenticates it. */
  readonly size: bigint;
  readonly index: bigint;
  /** Leaf to root. */
  readonly path: readonly NodeHash[];
}

/** What a checked receipt proves. */
export interface CheckedInclusion extends InclusionReceipt {
  /** Root of the tree that holds the leaf, signed by the log. */
  readonly root: RootHash;
  /** False if the receipt has no signed tree size: size and index are then what its holder says. */
  readonly isSizeSigned: boolean;
}

/**
 * Reads a receipt of inclusion.
 *
 * @throws {FormatError} ERR_CBOR_*, ERR_COSE_STRUCTURE (also: a tree of one leaf), ERR_COSE_HEADER, ERR_HASH_LENGTH
 * @throws {CheckError} ERR_COSE_VDS
 */
export function parseInclusionReceipt(bytes: Uint8Array): InclusionReceipt {
  const { header, proof } = parseReceiptOf(PROOF_KIND.inclusion, bytes);
  const [size, index, path] = proof;
  return { ...header, size, index, path };
}

/**
 * Checks that `key`'s log signed a root over `leaf`.
 *
 * Check the leaf, fold the path, then the signature over the root that comes out.
 *
 * @param leaf  hash of the entry's bytes; for statements `statementLeaf` says which bytes those are
 * @throws as `parseInclusionReceipt`; {CheckError} ERR_INDEX_RANGE, ERR_PROOF_LENGTH, ERR_SUBTREE_RANGE (size), and as
 *   `checkReceiptOver`
 */
export function checkInclusionReceipt(
  bytes: Uint8Array,
  leaf: LeafHash,
  expected: ReceiptExpectation,
): CheckedInclusion {
  const parsed = parseReceiptOf(PROOF_KIND.inclusion, bytes);
  const [size, index, path] = parsed.proof;
  const root = rootFromInclusion({ leaf, index, size, proof: path });
  checkReceiptOver(parsed, { root, size }, expected);
  return { ...parsed.header, size, index, path, root, isSizeSigned: parsed.header.treeSize !== undefined };
}

/** What a receipt of inclusion is made from. */
export interface InclusionReceiptContent extends InclusionPath {
  readonly issuer: string;
  readonly subject?: string;
}

/**
 * A receipt over the root that the path gives, signed. The caller compares that root with a tree head that is durable.
 *
 * @throws {CheckError} ERR_SIZE_RANGE for a tree of one leaf, which RFC 9942 cannot express; ERR_INDEX_RANGE,
 *   ERR_PROOF_LENGTH, ERR_COSE_ALG
 */
export function signInclusionReceipt(content: InclusionReceiptContent, signer: EnvelopeSigner): Uint8Array {
  const { index, size, proof, issuer, subject } = content;
  const root = rootFromInclusion(content);
  if (size < 2n) throw new CheckError("ERR_SIZE_RANGE", "a COSE receipt needs a tree of two leaves at least");
  const bytes = formatCbor([size, index, proof]);
  const about = subject === undefined ? {} : { subject };
  return signReceipt({ kind: PROOF_KIND.inclusion, issuer, ...about, proof: bytes, size, root }, signer);
}
