import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { formatHex } from "../../kernel/hex.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { proveInclusion } from "../../kernel/merkle/prove.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";
import { ROOT } from "../support/source-files.ts";
import { sampled } from "../support/sweep.ts";

interface Path {
  readonly leaf: Uint8Array;
  readonly index: number;
  readonly size: number;
  readonly hashes: readonly string[];
}
type Recompute = (path: Path) => Promise<{
  readonly steps: readonly { readonly side: string; readonly hash: string }[];
  readonly root: string;
}>;

/** The module as the browser loads it. */
const { recomputePath, hashEntry } = (await import(pathToFileURL(join(ROOT, "api", "console", "proof.js")).href)) as {
  readonly recomputePath: Recompute;
  readonly hashEntry: (text: string) => Promise<Uint8Array>;
};

const flip = (hex: string): string => (hex.startsWith("0") ? "1" : "0") + hex.slice(1);

describe("the browser's own proof code", () => {
  const tree = makeMemoryTree(numberedLeaves("entry", 64));

  it("hashes an entry as the tree does", async () => {
    expect(formatHex(await hashEntry("entry 7"))).toBe(formatHex(tree.leaves[7] ?? new Uint8Array()));
    expect(formatHex(await hashEntry("é"))).toBe(formatHex(hashLeaf(new TextEncoder().encode("é"))));
  });

  it("reaches the root for every leaf of every size up to 64, and no other with any hash changed", async () => {
    for (const size of sampled(
      Array.from({ length: 64 }, (_, i) => i + 1),
      3,
    )) {
      const root = formatHex(tree.roots[size] ?? new Uint8Array());
      for (let index = 0; index < size; index += 1) {
        const leaf = tree.leaves[index] ?? new Uint8Array();
        const proof = await proveInclusion(BigInt(index), BigInt(size), tree.reader);
        const hashes = proof.map(formatHex);
        expect((await recomputePath({ leaf, index, size, hashes })).root).toBe(root);
        if ((size * 7 + index) % 11 !== 0) continue;
        for (const [i, hash] of hashes.entries()) {
          expect((await recomputePath({ leaf, index, size, hashes: hashes.with(i, flip(hash)) })).root).not.toBe(root);
        }
        await expect(recomputePath({ leaf, index, size, hashes: [...hashes, root] })).rejects.toThrow();
        if (hashes.length > 0)
          await expect(recomputePath({ leaf, index, size, hashes: hashes.slice(1) })).rejects.toThrow();
      }
    }
  });

  it("refuses an index outside the tree and hashes that are none", async () => {
    const leaf = tree.leaves[0] ?? new Uint8Array();
    for (const [index, size] of [
      [1, 1],
      [-1, 4],
      [0.5, 4],
      [0, 0],
    ] as const) {
      await expect(recomputePath({ leaf, index, size, hashes: [] })).rejects.toThrow();
    }
    await expect(recomputePath({ leaf, index: 0, size: 2, hashes: ["zz"] })).rejects.toThrow();
  });
});
