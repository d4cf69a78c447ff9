/**
 * The hashes of the Merkle tree, RFC 6962 §2.1.
 *
 *     MTH([])   = SHA-256("")
 *     leaf hash = SHA-256(00 ‖ entry)
 *     node hash = SHA-256(01 ‖ left ‖ right)
 */

import { sha256 } from "#crypto";
import { FormatError } from "../errors.ts";

/** Bytes of every hash of the tree. */
export const HASH_BYTES = 32;

const NODE_PREFIX = 0x01;

/**
 * Inputs of the two hashes are put together here and nowhere else: an array of more than 64 bytes is memory of the C library
 * with a finalizer, which costs more than the hash. Nothing keeps a view of them, and hashing never yields.
 */
const nodeInput = Uint8Array.of(NODE_PREFIX, ...new Uint8Array(2 * HASH_BYTES));
const leafInput = new Uint8Array(1 + 65_535);

declare const leafBrand: unique symbol;
declare const nodeBrand: unique symbol;
declare const rootBrand: unique symbol;

/** 32 bytes: SHA-256(00 ‖ entry). */
export type LeafHash = Uint8Array & { readonly [leafBrand]: true };

/** 32 bytes: the root of the tree over some run of leaves, inside a larger tree or of it. */
export type NodeHash = Uint8Array & { readonly [nodeBrand]: true };

/** 32 bytes: the root of a whole tree; `EMPTY_ROOT` for no leaves. */
export type RootHash = Uint8Array & { readonly [rootBrand]: true };

/** Leaf hash of `entry`, which may have any length. */
export function hashLeaf(entry: Uint8Array): LeafHash {
  // The prefix 00 is what a new array holds, and nobody writes there.
  const input = entry.length < leafInput.length ? leafInput : new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return sha256(input.subarray(0, 1 + entry.length)) as LeafHash;
}

/** Hash of the node above `left` and `right`. */
export function hashNode(left: NodeHash, right: NodeHash): NodeHash {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput) as NodeHash;
}

/**
 * Hashes of the nodes above a row of hashes that lie one behind the other, in the same form.
 *
 * @param row  an even number of hashes
 */
export function hashRow(row: Uint8Array): Uint8Array {
  const above = new Uint8Array(row.length / 2);
  for (let at = 0; at < above.length; at += HASH_BYTES) {
    nodeInput.set(row.subarray(2 * at, 2 * (at + HASH_BYTES)), 1);
    above.set(sha256(nodeInput), at);
  }
  return above;
}

/** Root of the tree without leaves: SHA-256 of no bytes. */
export const EMPTY_ROOT: RootHash = sha256(new Uint8Array(0)) as RootHash;

/** The same 32 bytes as a node: a leaf is the node of width one, a root the node over all leaves. */
export function asNodeHash(hash: LeafHash | NodeHash | RootHash): NodeHash {
  const bytes: Uint8Array = hash;
  return bytes as NodeHash;
}

/** The node over all leaves of a tree as that tree's root. */
export function asRootHash(hash: NodeHash | LeafHash): RootHash {
  const bytes: Uint8Array = hash;
  return bytes as RootHash;
}

/**
 * `bytes` as a leaf hash.
 *
 * @throws {FormatError} ERR_HASH_LENGTH unless 32 bytes
 */
export function parseLeafHash(bytes: Uint8Array): LeafHash {
  return checkedLength(bytes) as LeafHash;
}

/**
 * `bytes` as a node hash.
 *
 * @throws {FormatError} ERR_HASH_LENGTH unless 32 bytes
 */
export function parseNodeHash(bytes: Uint8Array): NodeHash {
  return checkedLength(bytes) as NodeHash;
}

/**
 * `bytes` as a root hash.
 *
 * @throws {FormatError} ERR_HASH_LENGTH unless 32 bytes
 */
export function parseRootHash(bytes: Uint8Array): RootHash {
  return checkedLength(bytes) as RootHash;
}

function checkedLength(bytes: Uint8Array): Uint8Array {
  if (bytes.length !== HASH_BYTES) {
    throw new FormatError("ERR_HASH_LENGTH", `want a hash of ${HASH_BYTES} bytes, got ${bytes.length}`);
  }
  return bytes;
}
