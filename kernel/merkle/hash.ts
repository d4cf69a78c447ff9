/**
 * The hashes of the Merkle tree, RFC 6962 §2.1.
 *
 *     MTH([])   = SHA-256("")
 *     leaf hash = SHA-256(00 ‖ entry)
 *     node hash = SHA-256(01 ‖ left ‖ right)
 */

import { sha256, sha256Into } from "#crypto";
import { equalBytes } from "../bytes.ts";
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
const checked = new Uint8Array(HASH_BYTES);

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
  return sha256(leafInputOf(entry)) as LeafHash;
}

function leafInputOf(entry: Uint8Array): Uint8Array {
  // The prefix 00 is what a new array holds, and nobody writes there.
  const input = entry.length < leafInput.length ? leafInput : new Uint8Array(1 + entry.length);
  input.set(entry, 1);
  return input.subarray(0, 1 + entry.length);
}

/** Hash of the node above `left` and `right`. */
export function hashNode(left: NodeHash, right: NodeHash): NodeHash {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput) as NodeHash;
}

/**
 * Replaces hashes that lie one behind the other by those of the nodes above them, at the front of the same memory.
 *
 * @param count  of hashes; even
 */
export function hashPairs(row: Uint8Array, count: number): void {
  for (let pair = 0; 2 * pair < count; pair += 1) {
    const from = 2 * pair * HASH_BYTES;
    // A loop, since a view for `set` would be an object for each hash.
    for (let i = 0; i < 2 * HASH_BYTES; i += 1) nodeInput[1 + i] = row[from + i] ?? 0;
    sha256Into(nodeInput, row, pair * HASH_BYTES);
  }
}

/** True if `leaf` is the leaf hash of `entry`. */
export function isLeafOf(leaf: LeafHash, entry: Uint8Array): boolean {
  sha256Into(leafInputOf(entry), checked, 0);
  return equalBytes(checked, leaf);
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
