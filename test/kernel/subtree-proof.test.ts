/** Subtree proofs: every valid subtree of every size up to 130 against the slow transcription of the draft. */

import { describe, expect, test } from "vitest";
import { asNodeHash, EMPTY_ROOT, type LeafHash, parseNodeHash, parseRootHash } from "../../kernel/merkle/hash.ts";
import { proveConsistency, proveInclusion, proveSubtree } from "../../kernel/merkle/prove.ts";
import { checkSubtreeConsistency, checkSubtreeInclusion, isValidSubtree } from "../../kernel/merkle/subtree-proof.ts";
import { codeOf } from "../support/code-of.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";
import { isSlowValidSubtree, SlowTree } from "../support/slow-merkle.ts";
import { sampled, sweepSize } from "../support/sweep.ts";

const SIZE = 130;
const tree = makeMemoryTree(numberedLeaves("entry", SIZE));
const slow = new SlowTree(tree.leaves);
const hex = (hashes: readonly Uint8Array[]): string =>
  hashes.map((hash) => Buffer.from(hash).toString("hex")).join("\n");

/** Every valid subtree within `size` leaves. */
function* subtrees(size: number): Generator<readonly [number, number]> {
  for (let start = 0; start < size; start += 1) {
    for (let end = start + 1; end <= size; end += 1) if (isSlowValidSubtree(start, end)) yield [start, end];
  }
}

describe("a subtree", () => {
  test("is valid exactly where the draft says so", () => {
    for (let start = 0; start <= SIZE; start += 1) {
      for (let end = 0; end <= SIZE; end += 1) {
        expect(isValidSubtree(BigInt(start), BigInt(end))).toBe(isSlowValidSubtree(start, end));
      }
    }
    expect(isValidSubtree(8n, 13n)).toBe(true);
    expect(isValidSubtree(2n, 5n)).toBe(false);
  });
});

describe("a subtree proof", () => {
  test("of every valid subtree of every size up to 130 is that of the draft, and is accepted", async () => {
    let cases = 0;
    for (const size of sampled(
      Array.from({ length: SIZE }, (_, i) => i + 1),
      3,
    )) {
      for (const [start, end] of subtrees(size)) {
        const proof = await proveSubtree(BigInt(start), BigInt(end), BigInt(size), tree.reader);
        const want = slow.subtreeProof(start, end, size);
        if (hex(proof) !== hex(want)) throw new Error(`another proof of [${start}, ${end}) in ${size}`);
        const hash = parseNodeHash(slow.mth(start, end));
        const root = parseRootHash(slow.mth(0, size));
        checkSubtreeConsistency({ start: BigInt(start), end: BigInt(end), hash, size: BigInt(size), root, proof });
        cases += 1;
      }
    }
    expect(cases).toBeGreaterThan(sweepSize(10_000, 30_000));
  });

  test("is the inclusion proof of one leaf and the consistency proof of a prefix", async () => {
    for (let size = 1n; size <= 40n; size += 1n) {
      for (let at = 0n; at < size; at += 1n) {
        const inclusion = await proveInclusion(at, size, tree.reader);
        expect(hex(await proveSubtree(at, at + 1n, size, tree.reader))).toBe(hex(inclusion));
        const consistency = await proveConsistency(at + 1n, size, tree.reader);
        expect(hex(await proveSubtree(0n, at + 1n, size, tree.reader))).toBe(hex(consistency));
      }
    }
  });

  test("is refused with one bit flipped anywhere and with another number of hashes, for every subtree of 23", async () => {
    const size = 23;
    for (const [start, end] of subtrees(size)) {
      const proof = await proveSubtree(BigInt(start), BigInt(end), BigInt(size), tree.reader);
      const hash = parseNodeHash(slow.mth(start, end));
      const root = parseRootHash(slow.mth(0, size));
      const claim = { start: BigInt(start), end: BigInt(end), hash, size: BigInt(size), root, proof };
      for (let at = 0; at < proof.length; at += 1) {
        const bad = proof.map((sibling, i) => (i === at ? flip(sibling) : sibling));
        expect(codeOf(() => checkSubtreeConsistency({ ...claim, proof: bad }))).toMatch(/MISMATCH$/u);
      }
      expect(codeOf(() => checkSubtreeConsistency({ ...claim, hash: flip(hash) }))).toMatch(/MISMATCH$/u);
      const otherRoot = parseRootHash(flip(root));
      expect(codeOf(() => checkSubtreeConsistency({ ...claim, root: otherRoot }))).toBe("ERR_ROOT_MISMATCH");
      const longer = [...proof, hash];
      expect(codeOf(() => checkSubtreeConsistency({ ...claim, proof: longer }))).toBe("ERR_PROOF_LENGTH");
      if (proof.length === 0) continue;
      expect(codeOf(() => checkSubtreeConsistency({ ...claim, proof: proof.slice(1) }))).toBe("ERR_PROOF_LENGTH");
    }
  });

  test("of a range that is no subtree, reaches over the size or is empty is refused", async () => {
    const claim = { hash: asNodeHash(EMPTY_ROOT), root: EMPTY_ROOT, proof: [] };
    for (const [start, end, size] of [
      [2n, 5n, 8n],
      [8n, 13n, 12n],
      [3n, 3n, 8n],
      [5n, 4n, 8n],
      [-1n, 0n, 8n],
    ] as const) {
      expect(codeOf(() => checkSubtreeConsistency({ ...claim, start, end, size }))).toBe("ERR_SUBTREE_RANGE");
      await expect(proveSubtree(start, end, size, tree.reader)).rejects.toMatchObject({ code: "ERR_SUBTREE_RANGE" });
    }
  });

  test("of an empty range is accepted only when asked for, with the empty hash and no proof", () => {
    const claim = { start: 1n, end: 1n, size: 1n, hash: asNodeHash(EMPTY_ROOT), root: EMPTY_ROOT, proof: [] };
    expect(codeOf(() => checkSubtreeConsistency(claim))).toBe("ERR_SUBTREE_RANGE");
    expect(codeOf(() => checkSubtreeConsistency({ ...claim, allowEmpty: true }))).toBe("accepted");
    const hash = flip(claim.hash);
    expect(codeOf(() => checkSubtreeConsistency({ ...claim, hash, allowEmpty: true }))).toBe("ERR_SUBTREE_MISMATCH");
    const proof = [claim.hash];
    expect(codeOf(() => checkSubtreeConsistency({ ...claim, proof, allowEmpty: true }))).toBe("ERR_PROOF_LENGTH");
    const outside = { ...claim, start: 2n, end: 2n, allowEmpty: true };
    expect(codeOf(() => checkSubtreeConsistency(outside))).toBe("ERR_SUBTREE_RANGE");
  });
});

describe("an inclusion proof in a subtree", () => {
  test("is that of its leaf in a tree of the subtree's leaves alone", async () => {
    for (const [start, end] of subtrees(40)) {
      const part = makeMemoryTree(tree.leaves.slice(start, end));
      const root = parseRootHash(slow.mth(start, end));
      for (let i = start; i < end; i += 1) {
        const proof = await proveInclusion(BigInt(i - start), BigInt(end - start), part.reader);
        const claim = { leaf: leafAt(i), index: BigInt(i), start: BigInt(start), end: BigInt(end), root, proof };
        checkSubtreeInclusion(claim);
        expect(codeOf(() => checkSubtreeInclusion({ ...claim, index: BigInt(end) }))).toBe("ERR_INDEX_RANGE");
      }
    }
  });

  test("is refused for a range that is no subtree", () => {
    const claim = { leaf: leafAt(2), index: 2n, start: 2n, end: 5n, root: EMPTY_ROOT, proof: [] };
    expect(codeOf(() => checkSubtreeInclusion(claim))).toBe("ERR_SUBTREE_RANGE");
  });
});

function leafAt(index: number): LeafHash {
  const leaf = tree.leaves[index];
  if (leaf === undefined) throw new Error("no such leaf");
  return leaf;
}

function flip(hash: Uint8Array): ReturnType<typeof parseNodeHash> {
  const copy = Uint8Array.from(hash);
  copy[17] = (copy[17] ?? 0) ^ 0x20;
  return parseNodeHash(copy);
}
