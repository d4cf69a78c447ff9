import { describe, expect, it } from "vitest";
import { formatUint64, formatUtf8 } from "../../kernel/bytes.ts";
import { hashLeaf, type LeafHash } from "../../kernel/merkle/hash.ts";
import { readRoot } from "../../kernel/merkle/prove.ts";
import { fillFilter } from "../../ledger/recovery/fill-filter.ts";
import { EntryIndex } from "../../ledger/sequence/entry-index.ts";
import { type LeavesReader, PartFiller, readInPlace } from "../../ledger/sequence/log-leaves.ts";
import { EMPTY_EDGE, type FullTile } from "../../ledger/tree/right-edge.ts";
import { GrowingTree } from "../../ledger/tree/tree.ts";
import { MemoryIndex, MemoryLeaves } from "../support/ledger-memory.ts";

const entryOf = (i: number): Uint8Array => formatUint64(BigInt(i));
const leafOf = (i: number): LeafHash => hashLeaf(entryOf(i));
const never = (error: unknown): never => {
  throw error;
};
const open = new AbortController().signal;

/** A tree whose full tiles of level 0 can be changed. */
function makeTree(size: number): { readonly tree: GrowingTree; readonly tiles: Map<string, Uint8Array> } {
  const tiles = new Map<string, Uint8Array>();
  const nameOf = ({ kind, index, ...ref }: FullTile["ref"]): string =>
    `${kind} ${"level" in ref ? ref.level : ""} ${index}`;
  const store = {
    add: ({ ref, bytes }: FullTile) => void tiles.set(nameOf(ref), bytes),
    read: (ref: FullTile["ref"]) => Promise.resolve(tiles.get(nameOf(ref))),
  };
  const tree = new GrowingTree(store, EMPTY_EDGE);
  for (let i = 0; i < size; i += 1) tree.append(entryOf(i), leafOf(i));
  return { tree, tiles };
}

/** An index over a leaf store that has every leaf of a log of `size`, and counts what it is asked for. */
function makeIndex(size: number): { readonly index: EntryIndex; readonly asked: () => number } {
  let asked = 0;
  class CountingLeaves extends MemoryLeaves {
    override find(leaves: readonly LeafHash[]): Promise<readonly (number | undefined)[]> {
      asked += leaves.length;
      return super.find(leaves);
    }
  }
  const store = new CountingLeaves(65_536);
  store.put(Array.from({ length: size }, (_, i) => leafOf(i)));
  return { index: new EntryIndex(new MemoryIndex(), store, never), asked: () => asked };
}

const flushed = { flush: () => Promise.resolve() };
const strangers = Array.from({ length: 1000 }, (_, i) => leafOf(1_000_000 + i));

async function missing(index: EntryIndex, size: number): Promise<number> {
  const known = await index.find(Array.from({ length: size }, (_, i) => leafOf(i)));
  return Array.from({ length: size }, (_, i) => known(leafOf(i))).filter((found, i) => found !== BigInt(i)).length;
}

describe("the filter of a log that is opened", () => {
  it.each([0, 1, 255, 256, 257, 1000, 20_000])(
    "of %i entries holds every leaf of them, in full tiles and in the edge, and rules out nearly all others",
    async (size) => {
      const { index, asked } = makeIndex(size);
      await fillFilter({ tree: makeTree(size).tree, tiles: flushed, index, signal: open });
      expect(await missing(index, size)).toBe(0);
      const before = asked();
      await index.find(strangers);
      expect(asked() - before).toBeLessThan(50);
    },
  );

  it("knows what was placed while it was filled", async () => {
    const { tree } = makeTree(600);
    const { index } = makeIndex(600);
    const filling = fillFilter({ tree, tiles: flushed, index, signal: open });
    tree.append(entryOf(600), leafOf(600));
    index.place(leafOf(600));
    index.record({ rows: [], size: 601n });
    await index.flush();
    await filling;
    expect(await missing(index, 601)).toBe(0);
  });

  it("is not used if a tile has another byte, is missing, or is cut: every leaf is looked up", async () => {
    const changes: readonly ((tile: Uint8Array, tiles: Map<string, Uint8Array>) => void)[] = [
      (tile) => tile.set([(tile[40] ?? 0) ^ 1], 40),
      (_, tiles) => tiles.delete("hash 0 1"),
      (tile, tiles) => tiles.set("hash 0 1", tile.subarray(0, 255 * 32)),
      (_, tiles) => tiles.set("hash 0 1", tiles.get("hash 0 0") ?? new Uint8Array(0)),
    ];
    for (const change of changes) {
      const { tree, tiles } = makeTree(1000);
      const { index, asked } = makeIndex(1000);
      const root = await readRoot(768n, tree.reader(768n));
      change(tiles.get("hash 0 1") ?? new Uint8Array(0), tiles);
      const readLeaves = readInPlace((at) => Promise.resolve(tiles.get(`hash 0 ${at}`)));
      expect(await readLeaves({ tiles: 3, root }, open)).toBeUndefined();
      await fillFilter({ tree, tiles: flushed, index, signal: open }).catch(() => undefined);
      expect(await missing(index, 1000)).toBe(0);
      expect(asked()).toBe(1000);
    }
  });

  it("is given up when the log is closed", async () => {
    const closing = new AbortController();
    const { tree, tiles } = makeTree(1000);
    const root = await readRoot(768n, tree.reader(768n));
    const read = readInPlace((at) => {
      closing.abort();
      return Promise.resolve(tiles.get(`hash 0 ${at}`));
    });
    expect(await read({ tiles: 3, root }, closing.signal)).toBeUndefined();
  });

  it("is read elsewhere where there is much to read, and waits for tiles that are not on disk yet", async () => {
    const { tree, tiles } = makeTree(65 * 256 + 3);
    const { index, asked } = makeIndex(65 * 256 + 3);
    const order: string[] = [];
    const readLeaves: LeavesReader = async (leaves) => {
      order.push("read");
      const filler = new PartFiller(leaves);
      for (let i = 0; i < leaves.tiles; i += 1) filler.take(tiles.get(`hash 0 ${i}`) ?? formatUtf8(""));
      return filler.end();
    };
    const flush = async (): Promise<void> => void order.push("flush");
    await fillFilter({ tree, tiles: { flush }, index, readLeaves, signal: open });
    expect(order).toEqual(["flush", "read"]);
    await index.find(strangers);
    expect(asked()).toBeLessThan(50);
  });
});
