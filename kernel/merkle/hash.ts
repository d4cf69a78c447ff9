/**
 * The hashes of the Merkle tree, RFC 6962 §2.1.
 *
 *     MTH([])   = SHA-256("")
 *     leaf hash = SHA-256(00 ‖ entry)
 *     node hash = SHA-256(01 ‖ left ‖ right)
 */

import { sha256, sha256Into } from "#crypto";
import { concat, concatAll, equalBytes } from "../bytes.ts";
import { FormatError } from "../errors.ts";

/** Bytes of every hash of the tree. */
export const HASH_BYTES = 32;

const NODE_PREFIX = 0x01;
/** Of a segment; a tile has 256. */
const MOST_HASHES = 1024;

/**
 * Inputs of the two hashes are put together here and nowhere else: an array of more than 64 bytes is memory of the C library
 * with a finalizer, which costs more than the hash. Nothing keeps a view of them, and hashing never yields.
 */
const pairs = Uint8Array.of(NODE_PREFIX, ...new Uint8Array((2 + MOST_HASHES) * HASH_BYTES));
const nodeInput = pairs.subarray(0, 1 + 2 * HASH_BYTES);
const LONGEST = 65_535;
/** Bytes of entries that are taken at once. */
const CHUNK = 128 * 1024;
/** They are aligned like their source: from memory that threads share V8 copies byte by byte otherwise. */
const WORD_BYTES = 8;
const work = new Uint8Array(1 + LONGEST + CHUNK + WORD_BYTES);
const leafInput = work.subarray(0, 1 + LONGEST);
let leafView = leafInput;

declare const leafBrand: unique symbol;
declare const nodeBrand: unique symbol;
declare const rootBrand: unique symbol;
declare const leavesBrand: unique symbol;

/** 32 bytes: SHA-256(00 ‖ entry). */
export type LeafHash = Uint8Array & { readonly [leafBrand]: true };

/** Leaf hashes one behind the other, 32 bytes each: no object is made for one of many. */
export type LeafHashes = Uint8Array & { readonly [leavesBrand]: true };

/** 32 bytes: the root of the tree over some run of leaves, inside a larger tree or of it. */
export type NodeHash = Uint8Array & { readonly [nodeBrand]: true };

/** 32 bytes: the root of a whole tree; `EMPTY_ROOT` for no leaves. */
export type RootHash = Uint8Array & { readonly [rootBrand]: true };

/** Leaf hash of `entry`, which may have any length. */
export function hashLeaf(entry: Uint8Array): LeafHash {
  return sha256(leafInputOf(entry)) as LeafHash;
}

/** Where entries are in memory that holds more than them: entry `i` is `bytes` from `starts[i]` to `ends[i]`. */
export interface EntryRanges {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** Leaf hashes of all entries, in their order. Requires entries of at most 65,535 bytes, each behind the one before. */
export function hashLeaves(entries: EntryRanges): LeafHashes {
  const count = entries.starts.length;
  const leaves = new Uint8Array(count * HASH_BYTES);
  for (let from = 0; from < count; ) {
    const to = chunkEnd(entries, from);
    hashChunk(entries, from, to, leaves);
    from = to;
  }
  return leaves as LeafHashes;
}

/** Number of the first entry from `from` on that the working memory does not take with the ones before. */
function chunkEnd({ starts, ends }: EntryRanges, from: number): number {
  const first = starts[from] ?? 0;
  let to = from + 1;
  while (to < ends.length && (ends[to] ?? 0) - first <= CHUNK) to += 1;
  return to;
}

/** Copies entries into the working memory and moves each behind the prefix: neither a view nor an array is made for it. */
function hashChunk({ bytes, starts, ends }: EntryRanges, from: number, to: number, leaves: Uint8Array): void {
  const first = starts[from] ?? 0;
  const place = leafInput.length + ((bytes.byteOffset + first - leafInput.length) & (WORD_BYTES - 1));
  work.set(bytes.subarray(first, ends[to - 1]), place);
  const base = place - first;
  for (let i = from; i < to; i += 1) {
    const [start, end] = [starts[i] ?? 0, ends[i] ?? 0];
    work.copyWithin(1, base + start, base + end);
    sha256Into(leafViewOf(end - start), leaves, i * HASH_BYTES);
  }
}

/** Entry `i`, as a view. */
export function entryAt({ bytes, starts, ends }: EntryRanges, i: number): Uint8Array {
  return bytes.subarray(starts[i], ends[i]);
}

/** Leaf hash `i`, as a view. */
export function leafAt(leaves: LeafHashes, i: number): LeafHash {
  const leaf: Uint8Array = leaves.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
  return leaf as LeafHash;
}

/** Puts leaf hashes one behind the other. */
export function joinLeaves(parts: readonly (LeafHash | LeafHashes)[]): LeafHashes {
  return concatAll(parts) as LeafHashes;
}

/** Leaf hashes by themselves, as views. */
export function splitLeaves(leaves: LeafHashes): readonly LeafHash[] {
  return Array.from({ length: leaves.length / HASH_BYTES }, (_, i) => leafAt(leaves, i));
}

function leafInputOf(entry: Uint8Array): Uint8Array {
  // The prefix 00 is what a new array holds, and nobody writes there.
  if (entry.length >= leafInput.length) return concat(leafInput.subarray(0, 1), entry);
  leafInput.set(entry, 1);
  return leafViewOf(entry.length);
}

/** Entries of one log are often of one length, and a view costs a tenth of the hash. */
function leafViewOf(length: number): Uint8Array {
  if (leafView.length !== 1 + length) leafView = leafInput.subarray(0, 1 + length);
  return leafView;
}

/** Hash of the node above `left` and `right`. */
export function hashNode(left: NodeHash, right: NodeHash): NodeHash {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + HASH_BYTES);
  return sha256(nodeInput) as NodeHash;
}

/**
 * Root over hashes that lie one behind the other, as those of a tile do. One without a neighbour stands in the row above as it is,
 * which is the split of RFC 6962 §2.1.
 *
 * @param count  of hashes, 1 to 1024
 */
export function foldHashes(hashes: Uint8Array, count: number): NodeHash {
  pairs.set(hashes.subarray(0, count * HASH_BYTES), nodeInput.length);
  for (let left = count; left > 1; left = Math.ceil(left / 2)) foldPairs(left);
  return pairs.slice(nodeInput.length, nodeInput.length + HASH_BYTES) as NodeHash;
}

/** Replaces the first hashes in the working memory by those of the row above them. */
function foldPairs(count: number): void {
  const whole = Math.floor(count / 2);
  for (let pair = 0; pair < whole; pair += 1) {
    const from = nodeInput.length + 2 * pair * HASH_BYTES;
    pairs.copyWithin(1, from, from + 2 * HASH_BYTES);
    sha256Into(nodeInput, pairs, nodeInput.length + pair * HASH_BYTES);
  }
  if (2 * whole === count) return;
  const last = nodeInput.length + (count - 1) * HASH_BYTES;
  pairs.copyWithin(nodeInput.length + whole * HASH_BYTES, last, last + HASH_BYTES);
}

/** True if `leaves` are the leaf hashes of `entries`, as many and in their order. */
export function areLeavesOf(leaves: LeafHashes, entries: EntryRanges): boolean {
  return equalBytes(hashLeaves(entries), leaves);
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
 * `bytes` as leaf hashes one behind the other.
 *
 * @throws {FormatError} ERR_HASH_LENGTH unless a multiple of 32 bytes
 */
export function parseLeafHashes(bytes: Uint8Array): LeafHashes {
  if (bytes.length % HASH_BYTES === 0) return bytes as LeafHashes;
  throw new FormatError("ERR_HASH_LENGTH", `want hashes of ${HASH_BYTES} bytes each, got ${bytes.length} bytes`);
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
