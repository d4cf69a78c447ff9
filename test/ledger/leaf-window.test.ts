import { describe, expect, it } from "vitest";
import { formatUint64 } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { LeafWindow } from "../../ledger/sequence/leaf-window.ts";

const leafOf = (i: number): LeafHash => hashLeaf(formatUint64(BigInt(i)));

/** Leaves that only their last byte tells apart: all with one key. */
const alike = (i: number): LeafHash => parseLeafHash(new Uint8Array(32).fill(i, 31));

describe("the leaf window", () => {
  it("finds what was added, forgets what was deleted, and counts", () => {
    const window = new LeafWindow();
    for (let i = 0; i < 1000; i += 1) window.add(leafOf(i), BigInt(i));
    for (let i = 0; i < 1000; i += 2) window.delete(leafOf(i));
    for (let i = 0; i < 1000; i += 1) expect(window.get(leafOf(i))).toBe(i % 2 === 0 ? undefined : BigInt(i));
    expect(window.size).toBe(500);
  });

  it("tells leaves with one key apart by all their bytes", () => {
    const window = new LeafWindow();
    for (let i = 0; i < 200; i += 1) window.add(alike(i), BigInt(i));
    window.delete(alike(77));
    window.delete(alike(77));
    for (let i = 0; i < 200; i += 1) expect(window.get(alike(i))).toBe(i === 77 ? undefined : BigInt(i));
    expect(window.size).toBe(199);
  });

  it("keeps the first index of a leaf", () => {
    const window = new LeafWindow();
    window.add(leafOf(1), 1n);
    window.add(leafOf(1), 2n);
    expect(window.get(leafOf(1))).toBe(1n);
    expect(window.size).toBe(1);
  });
});
