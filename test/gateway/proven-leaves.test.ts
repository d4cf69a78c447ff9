/** Leaves of a witnessed tree from its tiles: every true one is found, and no tile that lies lets a false one through. */

import { describe, expect, it } from "vitest";
import { ProvenLeaves } from "../../gateway/receipts/proven-leaves.ts";
import { HASH_BYTES, hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { rootOfTile, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { TileRef } from "../../kernel/tile/path.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";

const FALSE_LEAF: LeafHash = hashLeaf(new TextEncoder().encode("somebody else's"));

/** The tiles of a tree; `change` may replace leaves of level 0 before anybody reads them. */
function treeOf(size: number, change: (leaves: Uint8Array[]) => void = () => undefined) {
  const leaves = numberedLeaves("leaf", size);
  const tree = makeMemoryTree(leaves);
  const root = tree.roots[size];
  if (root === undefined) throw new Error("no root");
  const shown: Uint8Array[] = [...leaves];
  change(shown);
  const upper = (level: number, index: bigint, width: number): Uint8Array[] => {
    if (level === 0) return shown.slice(Number(index) * TILE_WIDTH, Number(index) * TILE_WIDTH + width);
    return Array.from({ length: width }, (_, i) => {
      const below = index * BigInt(TILE_WIDTH) + BigInt(i);
      return rootOfTile(Buffer.concat(upper(level - 1, below, TILE_WIDTH)));
    });
  };
  const asked: string[] = [];
  const readTile = async (ref: TileRef): Promise<Uint8Array> => {
    if (ref.kind !== "hash") throw new Error("no hash tile");
    asked.push(`${ref.level}/${ref.index}`);
    return Buffer.concat(upper(ref.level, ref.index, ref.width));
  };
  const checkpoint = { origin: "log", size: BigInt(size), root, extensions: [] };
  return { leaves, asked, make: () => new ProvenLeaves(checkpoint, readTile) };
}

describe("leaves of a tree", () => {
  it.each([1, 2, 255, 256, 257, 300, 513])(
    "of size %i are each found at their index and nowhere else",
    async (size) => {
      const { leaves, make, asked } = treeOf(size);
      const proven = make();
      for (const [i, leaf] of leaves.entries()) {
        expect(await proven.has(leaf, BigInt(i))).toBe(true);
        expect(await proven.has(FALSE_LEAF, BigInt(i))).toBe(false);
      }
      expect(await proven.has(FALSE_LEAF, BigInt(size))).toBe(false);
      expect(new Set(asked).size).toBe(asked.length);
    },
  );

  it("are not found by a tile with one false leaf, wherever that stands, but for the true leaf in its place", async () => {
    for (const wrong of [0, 7, 128, 255]) {
      const { leaves, make } = treeOf(300, (shown) => {
        shown[wrong] = FALSE_LEAF;
      });
      const proven = make();
      for (const [i, leaf] of leaves.slice(0, TILE_WIDTH).entries()) {
        expect(await proven.has(FALSE_LEAF, BigInt(i)), `${wrong}/${i}`).toBe(false);
        // A proof is made of the other leaves, which are true exactly for the one that was replaced.
        expect(await proven.has(leaf, BigInt(i)), `${wrong}/${i}`).toBe(i === wrong);
        expect(await proven.has(FALSE_LEAF, BigInt(wrong)), `${wrong}/${i}`).toBe(false);
      }
    }
  });

  it("are refused if a tile does not have the hashes of its width", async () => {
    const { leaves } = treeOf(3);
    const root = makeMemoryTree(leaves).roots[3];
    const [leaf] = leaves;
    if (root === undefined || leaf === undefined) throw new Error("no tree");
    const checkpoint = { origin: "log", size: 3n, root, extensions: [] };
    const short = new ProvenLeaves(checkpoint, async () => new Uint8Array(HASH_BYTES));
    await expect(short.has(leaf, 0n)).rejects.toMatchObject({ code: "ERR_TILE_LENGTH" });
  });
});
