import { describe, expect, it } from "vitest";
import { formatUint64 } from "../../kernel/bytes.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { blocksBehind, LeafFilter, makePart } from "../../ledger/sequence/leaf-filter.ts";

const leafOf = (i: number): ReturnType<typeof hashLeaf> => hashLeaf(formatUint64(BigInt(i)));

describe("the leaf filter", () => {
  it("holds every leaf that was added, over several generations", () => {
    const filter = new LeafFilter();
    for (let i = 0; i < 60_000; i += 1) filter.add(leafOf(i));
    for (let i = 0; i < 60_000; i += 1) expect(filter.mayHold(leafOf(i))).toBe(true);
  });

  it("rules out nearly all others, at a few bytes a leaf", () => {
    const filter = new LeafFilter();
    for (let i = 0; i < 200_000; i += 1) filter.add(leafOf(i));
    let falsely = 0;
    for (let i = 200_000; i < 220_000; i += 1) if (filter.mayHold(leafOf(i))) falsely += 1;
    expect(falsely / 20_000).toBeLessThan(0.01);
    expect(filter.bytes / 200_000).toBeLessThan(8);
  });

  it("is looked at in a few places and takes a few bytes a leaf, however large it is", () => {
    const { left, words } = makePart(1);
    const [leavesOfBlock, bytesOfBlock] = [left, words.byteLength];
    let [blocks, full, generations] = [1024, 0, 1];
    for (; full < 1e9; blocks = blocksBehind(blocks)) {
      const before = full;
      full += blocks * leavesOfBlock;
      const bytes = (full / leavesOfBlock) * bytesOfBlock;
      if (before > 0) expect(bytes / before).toBeLessThan(14);
      if (before > 3e6) expect(bytes / before).toBeLessThan(8);
      generations += 1;
    }
    expect(generations).toBeLessThan(16);
  });

  it("holds nothing when it is new", () => {
    expect(new LeafFilter().mayHold(leafOf(0))).toBe(false);
  });
});
