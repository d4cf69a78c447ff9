/** Merkle tree and proofs: against a slow transcription of the RFC, and against merkletreejs. */

import { createHash } from "node:crypto";
import { MerkleTree } from "merkletreejs";
import { describe, expect, test } from "vitest";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { checkConsistency } from "../../kernel/merkle/consistency-proof.ts";
import {
  asNodeHash,
  EMPTY_ROOT,
  hashLeaf,
  type LeafHash,
  type NodeHash,
  parseLeafHash,
  parseNodeHash,
  parseRootHash,
  type RootHash,
} from "../../kernel/merkle/hash.ts";
import { checkInclusion } from "../../kernel/merkle/inclusion-proof.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import { codeOf } from "../support/code-of.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";
import { SlowTree, slowInclusionVerdict, slowLeafHash } from "../support/slow-merkle.ts";

const SIZE = 64;
const tree = makeMemoryTree(numberedLeaves("entry", SIZE));
const slow = new SlowTree(Array.from({ length: SIZE }, (_, i) => slowLeafHash(new TextEncoder().encode(`entry ${i}`))));

const leafAt = (index: number): LeafHash => tree.leaves[index] ?? hashLeaf(new Uint8Array(0));
const rootOf = (size: number): RootHash => tree.roots[size] ?? EMPTY_ROOT;
const bytes = (hashes: readonly Uint8Array[]): readonly string[] =>
  hashes.map((hash) => Buffer.from(hash).toString("hex"));

/** Copies of `hashes` with one bit of one hash flipped, one for each hash. */
function flipped(hashes: readonly NodeHash[]): readonly (readonly NodeHash[])[] {
  return hashes.map((_, at) => hashes.map((hash, i) => (i === at ? flip(hash, at) : hash)));
}

function flip<T extends Uint8Array>(hash: T, at: number): NodeHash {
  const copy = Uint8Array.from(hash);
  copy[(at * 7) % 32] = (copy[(at * 7) % 32] ?? 0) ^ (1 << (at % 8));
  return parseNodeHash(copy);
}

/**
 * merkletreejs as RFC 6962. By itself it has no domain separation and no rule for leaves: it is given ready-made leaf
 * hashes (0x00 prefix) and a hash function that puts 0x01 before each pair. An odd last node it promotes as it is, which
 * gives the RFC's tree, split at the largest power of two, at every size. Consistency proofs it has none.
 */
function peerTree(size: number): MerkleTree {
  const hashPair = (pair: Buffer): Buffer => createHash("sha256").update(Uint8Array.of(1)).update(pair).digest();
  return new MerkleTree(
    tree.leaves.slice(0, size).map((leaf) => Buffer.from(leaf)),
    hashPair,
  );
}

describe("Merkle hashes", () => {
  test("the empty root is SHA-256 of nothing", () => {
    expect(Buffer.from(EMPTY_ROOT).toString("base64")).toBe("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  });

  test("a hash of another length than 32 bytes is refused by each brand", () => {
    for (const length of [0, 31, 33, 64]) {
      for (const parse of [parseLeafHash, parseNodeHash, parseRootHash]) {
        expect(codeOf(() => parse(new Uint8Array(length)))).toBe("ERR_HASH_LENGTH");
      }
    }
  });
});

describe("every size up to 64", () => {
  test("has the root of the RFC and of merkletreejs", async () => {
    for (let size = 0; size <= SIZE; size += 1) {
      expect(bytes([rootOf(size)])).toEqual(bytes([slow.mth(0, size)]));
      expect(bytes([await readRoot(BigInt(size), tree.reader)])).toEqual(bytes([slow.mth(0, size)]));
      if (size > 0) expect(peerTree(size).getHexRoot()).toBe(`0x${bytes([rootOf(size)])[0]}`);
    }
  });

  test("has the inclusion proofs of the RFC and of merkletreejs, for every leaf", async () => {
    for (let size = 1; size <= SIZE; size += 1) {
      const peer = peerTree(size);
      for (let index = 0; index < size; index += 1) {
        const proof = await proveInclusion(BigInt(index), BigInt(size), tree.reader);
        expect(bytes(proof)).toEqual(bytes(slow.path(index, 0, size)));
        expect(bytes(proof)).toEqual(bytes(peer.getProof(Buffer.from(leafAt(index)), index).map(({ data }) => data)));
        checkInclusion({ leaf: leafAt(index), index: BigInt(index), size: BigInt(size), root: rootOf(size), proof });
      }
    }
  });

  test("has the consistency proofs of the RFC, for every pair of sizes", async () => {
    for (let size = 1; size <= SIZE; size += 1) {
      for (let old = 1; old <= size; old += 1) {
        const proof = await proveConsistency(BigInt(old), BigInt(size), tree.reader);
        expect(bytes(proof)).toEqual(bytes(slow.proof(old, size)));
        const claim = { oldSize: BigInt(old), oldRoot: rootOf(old), size: BigInt(size), root: rootOf(size), proof };
        checkConsistency(claim);
      }
    }
  });

  test("a right edge that was stored and read back grows on as if it had never been away", () => {
    for (let size = 0; size < SIZE; size += 1) {
      const before = CompactRange.empty();
      for (const leaf of tree.leaves.slice(0, size)) before.append(leaf);
      const after = CompactRange.fromNodes(before.size, before.nodes());
      for (const leaf of tree.leaves.slice(size)) after.append(leaf);
      expect(bytes([after.root()])).toEqual(bytes([rootOf(SIZE)]));
    }
  });

  test("a right edge with another number of nodes than its size has one bits is refused", () => {
    const nodes = [asNodeHash(leafAt(0)), asNodeHash(leafAt(1))];
    expect(codeOf(() => CompactRange.fromNodes(4n, nodes))).toBe("ERR_COMPACT_RANGE");
    expect(codeOf(() => CompactRange.fromNodes(-1n, []))).toBe("ERR_COMPACT_RANGE");
    expect(codeOf(() => CompactRange.fromNodes(3n, nodes))).toBe("accepted");
  });
});

describe("an inclusion proof", () => {
  test("is refused with one bit of any hash, of the leaf or of the root flipped", async () => {
    for (let size = 1; size <= SIZE; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = await proveInclusion(BigInt(index), BigInt(size), tree.reader);
        const claim = { leaf: leafAt(index), index: BigInt(index), size: BigInt(size), root: rootOf(size), proof };
        for (const bad of flipped(proof)) {
          expect(codeOf(() => checkInclusion({ ...claim, proof: bad }))).toBe("ERR_ROOT_MISMATCH");
        }
        const leaf = parseLeafHash(flip(claim.leaf, index));
        expect(codeOf(() => checkInclusion({ ...claim, leaf }))).toBe("ERR_ROOT_MISMATCH");
        const root = parseRootHash(flip(claim.root, index));
        expect(codeOf(() => checkInclusion({ ...claim, root }))).toBe("ERR_ROOT_MISMATCH");
      }
    }
  });

  test("is refused with a hash missing, a hash too many, or none", async () => {
    for (let size = 2; size <= SIZE; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = await proveInclusion(BigInt(index), BigInt(size), tree.reader);
        const claim = { leaf: leafAt(index), index: BigInt(index), size: BigInt(size), root: rootOf(size) };
        for (const bad of [proof.slice(1), proof.slice(0, -1), [...proof, ...proof.slice(0, 1)], []]) {
          expect(codeOf(() => checkInclusion({ ...claim, proof: bad }))).toBe("ERR_PROOF_LENGTH");
        }
      }
    }
  });

  test("counts at no other index and size than the RFC 9162 verification accepts", async () => {
    const proof = await proveInclusion(5n, 13n, tree.reader);
    for (let size = 1; size <= 40; size += 1) {
      for (let index = 0; index <= size; index += 1) {
        const claim = { leaf: leafAt(5), index: BigInt(index), size: BigInt(size), root: rootOf(13), proof };
        const accepted = codeOf(() => checkInclusion(claim)) === "accepted";
        expect(accepted).toBe(slowInclusionVerdict(leafAt(5), index, size, proof, rootOf(13)));
      }
    }
  });

  test("is refused for an index at or above the size, or below zero", () => {
    for (const [index, size] of [
      [0n, 0n],
      [1n, 1n],
      [7n, 7n],
      [-1n, 7n],
      [1n << 64n, 7n],
    ] as const) {
      const claim = { leaf: leafAt(0), index, size, root: rootOf(7), proof: [] };
      expect(codeOf(() => checkInclusion(claim))).toBe("ERR_INDEX_RANGE");
    }
  });

  test("of any place in a tree of 2^64 - 1 leaves has at most 64 hashes", () => {
    const size = (1n << 64n) - 1n;
    const claim = {
      leaf: leafAt(0),
      index: 0n,
      size,
      root: rootOf(7),
      proof: new Array<NodeHash>(64).fill(asNodeHash(leafAt(0))),
    };
    expect(codeOf(() => checkInclusion(claim))).toBe("ERR_ROOT_MISMATCH");
    expect(codeOf(() => checkInclusion({ ...claim, size: size + 1n }))).toBe("ERR_SUBTREE_RANGE");
  });
});

describe("a consistency proof", () => {
  test("is refused with one bit of any hash or root flipped, and with another number of hashes", async () => {
    for (let size = 2; size <= SIZE; size += 1) {
      for (let old = 1; old < size; old += 1) {
        const proof = await proveConsistency(BigInt(old), BigInt(size), tree.reader);
        const claim = { oldSize: BigInt(old), oldRoot: rootOf(old), size: BigInt(size), root: rootOf(size), proof };
        for (const bad of flipped(proof)) {
          expect(codeOf(() => checkConsistency({ ...claim, proof: bad }))).toMatch(/^ERR_(OLD_)?ROOT_MISMATCH$/u);
        }
        const root = parseRootHash(flip(claim.root, old));
        expect(codeOf(() => checkConsistency({ ...claim, root }))).toBe("ERR_ROOT_MISMATCH");
        const oldRoot = parseRootHash(flip(claim.oldRoot, old));
        expect(codeOf(() => checkConsistency({ ...claim, oldRoot }))).toMatch(/^ERR_(OLD_)?ROOT_MISMATCH$/u);
        for (const bad of [proof.slice(1), [...proof, ...proof.slice(0, 1)], []]) {
          expect(codeOf(() => checkConsistency({ ...claim, proof: bad }))).toBe("ERR_PROOF_LENGTH");
        }
      }
    }
  });

  test("from size zero, or to a smaller tree, is refused", () => {
    const claim = { oldRoot: EMPTY_ROOT, root: rootOf(7), proof: [] };
    for (const [oldSize, size] of [
      [0n, 7n],
      [0n, 0n],
      [8n, 7n],
      [-1n, 7n],
    ] as const) {
      expect(codeOf(() => checkConsistency({ ...claim, oldSize, size }))).toBe("ERR_SIZE_RANGE");
    }
  });

  test("between equal sizes is empty and needs equal roots", () => {
    const claim = { oldSize: 7n, oldRoot: rootOf(7), size: 7n, root: rootOf(7), proof: [] };
    expect(codeOf(() => checkConsistency(claim))).toBe("accepted");
    expect(codeOf(() => checkConsistency({ ...claim, root: rootOf(8) }))).toBe("ERR_ROOT_MISMATCH");
    expect(codeOf(() => checkConsistency({ ...claim, proof: [asNodeHash(leafAt(0))] }))).toBe("ERR_PROOF_LENGTH");
  });
});

describe("the prover", () => {
  test("refuses sizes and indexes that no tree has, before it reads anything", async () => {
    const reader = { readNodes: () => Promise.reject(new Error("read")) };
    const code = (promise: Promise<unknown>): Promise<unknown> =>
      promise.catch((error: { code?: string }) => error.code);
    for (const [index, size] of [
      [0n, 0n],
      [5n, 5n],
      [-1n, 5n],
    ] as const) {
      expect(await code(proveInclusion(index, size, reader))).toBe("ERR_INDEX_RANGE");
    }
    for (const [old, size] of [
      [0n, 5n],
      [6n, 5n],
      [-1n, 5n],
    ] as const) {
      expect(await code(proveConsistency(old, size, reader))).toBe("ERR_SIZE_RANGE");
    }
    expect(await proveInclusion(0n, 1n, reader)).toEqual([]);
    expect(await proveConsistency(5n, 5n, reader)).toEqual([]);
    expect(await readRoot(0n, reader)).toEqual(EMPTY_ROOT);
  });

  test("stops at a reader that gives another number of hashes than it was asked for", async () => {
    const reader = { readNodes: async () => [asNodeHash(leafAt(0))] };
    await expect(proveInclusion(0n, 5n, reader)).rejects.toMatchObject({ code: "ERR_BUG" });
  });
});
