/** Tiles: paths, coordinates, bundles, and reading a tree back through tiles alone. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat } from "../../kernel/bytes.ts";
import { asNodeHash } from "../../kernel/merkle/hash.ts";
import { proveConsistency, proveInclusion, readRoot } from "../../kernel/merkle/prove.ts";
import { nodeFromTile, partialWidth, tileOfNode, tilesForSize, tileWidth } from "../../kernel/tile/coordinates.ts";
import { formatEntryBundle, MAX_ENTRY_BYTES, parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, parseTilePath, type TileRef } from "../../kernel/tile/path.ts";
import { makeTileHashReader } from "../../kernel/tile/tile-reader.ts";
import { codeOf } from "../support/code-of.ts";
import { oneCharacterChanges, truncations } from "../support/each-damage.ts";
import { makeMemoryTree, numberedLeaves } from "../support/memory-tree.ts";

const SIZE = 700;
const tree = makeMemoryTree(numberedLeaves("entry", SIZE));

/** A hash tile of the tree, as a log would serve it. */
async function hashTile(ref: TileRef): Promise<Uint8Array> {
  if (ref.kind !== "hash") throw new Error("not a hash tile");
  const first = ref.index * 256n;
  const ids = Array.from({ length: ref.width }, (_, i) => ({ level: 8 * ref.level, index: first + BigInt(i) }));
  return concat(...(await tree.reader.readNodes(ids)));
}

describe("a tile path", () => {
  test.each([
    ["tile/0/000", { kind: "hash", level: 0, index: 0n, width: 256 }],
    ["tile/0/x001/000", { kind: "hash", level: 0, index: 1000n, width: 256 }],
    ["tile/1/x001/x234/067.p/8", { kind: "hash", level: 1, index: 1234067n, width: 8 }],
    ["tile/63/005", { kind: "hash", level: 63, index: 5n, width: 256 }],
    ["tile/entries/273.p/112", { kind: "entries", index: 273n, width: 112 }],
  ] as const)("%s names one resource", (path, ref) => {
    expect(parseTilePath(path)).toEqual(ref);
    expect(formatTilePath(ref)).toBe(path);
  });

  test.each([
    ["a level with a leading zero", "tile/00/000"],
    ["a level above 63", "tile/64/000"],
    ["a number of two digits", "tile/0/00"],
    ["a number of four digits", "tile/0/0000"],
    ["a leading group of zeros", "tile/0/x000/001"],
    ["a group without x", "tile/0/001/000"],
    ["an x on the last group", "tile/0/x001"],
    ["a width of 0", "tile/0/000.p/0"],
    ["a width of 256", "tile/0/000.p/256"],
    ["a width with a leading zero", "tile/0/000.p/05"],
    ["a width without a number", "tile/0/000.p/"],
    ["a slash at the end", "tile/0/000/"],
    ["a slash at the start", "/tile/0/000"],
    ["a way up", "tile/0/../000"],
    ["an escaped character", "tile/0/%30%30%30"],
    ["digits of another script", "tile/0/٠٠٠"],
    ["a newline at the end", "tile/0/000\n"],
    ["a number above every tree", "tile/0/x999/x999/x999/x999/x999/x999/999"],
  ])("with %s is refused", (_, path) => {
    expect(codeOf(() => parseTilePath(path))).toBe("ERR_TILE_PATH");
  });

  test("that is damaged is refused, or is the one spelling of another resource", () => {
    for (const path of ["tile/1/x001/x234/067.p/8", "tile/entries/273.p/112"]) {
      for (const bad of [...truncations(path), ...oneCharacterChanges(path)]) {
        if (codeOf(() => parseTilePath(bad)) === "accepted") expect(formatTilePath(parseTilePath(bad))).toBe(bad);
      }
    }
  });

  test("of any resource comes back", () => {
    const [level, width] = [fc.integer({ min: 0, max: 63 }), fc.integer({ min: 1, max: 256 })];
    const index = fc.oneof(fc.bigInt({ min: 0n, max: (1n << 56n) - 1n }), fc.bigInt({ min: 0n, max: 2_000_000n }));
    fc.assert(
      fc.property(level, index, width, fc.boolean(), (l, n, w, entries) => {
        const ref: TileRef = entries
          ? { kind: "entries", index: n, width: w }
          : { kind: "hash", level: l, index: n, width: w };
        expect(parseTilePath(formatTilePath(ref))).toEqual(ref);
      }),
      { numRuns: 300 },
    );
  });
});

describe("the tiles of a size", () => {
  test("of 256 and of 70,000 are those of the specification", () => {
    const paths = (size: bigint): readonly string[] => [...tilesForSize(size)].map(formatTilePath);
    expect(paths(0n)).toEqual([]);
    expect(paths(256n)).toEqual(["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
    expect(paths(70_000n).filter((path) => path.includes(".p/"))).toEqual([
      "tile/entries/273.p/112",
      "tile/0/273.p/112",
      "tile/1/001.p/17",
      "tile/2/000.p/1",
    ]);
    expect(paths(70_000n).length).toBe(551);
  });

  test("are widths that agree with the partial width at every level", () => {
    for (const size of [0n, 1n, 255n, 256n, 257n, 65_535n, 65_536n, 70_000n, 1n << 40n]) {
      for (let level = 0; level < 6; level += 1) {
        const full = (size >> BigInt(8 * level)) / 256n;
        expect(tileWidth({ level, index: full }, size)).toBe(partialWidth(level, size));
        if (full > 0n) expect(tileWidth({ level, index: full - 1n }, size)).toBe(256);
        expect(tileWidth({ level, index: full + 1n }, size)).toBe(0);
      }
    }
  });
});

describe("a hash tile", () => {
  test("holds every node that the tree has, at whatever level", async () => {
    for (let level = 0; level <= 9; level += 1) {
      for (let index = 0n; (index + 1n) << BigInt(level) <= BigInt(SIZE); index += 1n) {
        const place = tileOfNode({ level, index });
        const width = tileWidth(place, BigInt(SIZE));
        const tile = await hashTile({ kind: "hash", ...place, width });
        const [want] = await tree.reader.readNodes([{ level, index }]);
        expect(nodeFromTile(tile, place.level, place.index, { level, index })).toEqual(want);
      }
    }
  });

  test("that is too narrow, cut inside a hash, or another one is refused", async () => {
    const tile = await hashTile({ kind: "hash", level: 0, index: 0n, width: 6 });
    const node = (bytes: Uint8Array, index: bigint): string =>
      codeOf(() => nodeFromTile(bytes, 0, index, { level: 1, index: 2n }));
    expect(node(tile, 0n)).toBe("accepted");
    expect(node(tile.slice(0, 5 * 32), 0n)).toBe("ERR_TILE_LENGTH");
    expect(node(tile.slice(0, -1), 0n)).toBe("ERR_TILE_LENGTH");
    expect(node(tile, 1n)).toBe("ERR_TILE_LENGTH");
  });
});

describe("a reader through tiles", () => {
  test("gives the roots and proofs of the tree itself, at sizes around each boundary", async () => {
    for (const size of [1n, 2n, 7n, 255n, 256n, 257n, 511n, 512n, 513n, 700n]) {
      const reader = makeTileHashReader(size, hashTile);
      expect(await readRoot(size, reader)).toEqual(tree.roots[Number(size)]);
      for (const at of [0n, size / 2n, size - 1n]) {
        expect(await proveInclusion(at, size, reader)).toEqual(await proveInclusion(at, size, tree.reader));
        const old = at + 1n;
        expect(await proveConsistency(old, size, reader)).toEqual(await proveConsistency(old, size, tree.reader));
      }
    }
  });

  test("asks for each tile once, and for no width that the size does not have", async () => {
    const asked: string[] = [];
    const reader = makeTileHashReader(700n, async (ref) => {
      asked.push(formatTilePath(ref));
      return hashTile(ref);
    });
    await proveInclusion(699n, 700n, reader);
    const served = new Set([...tilesForSize(700n)].map(formatTilePath));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.every((path) => served.has(path))).toBe(true);
  });

  test("takes the full tile where a partial one was asked for, and nothing between", async () => {
    const full = await hashTile({ kind: "hash", level: 0, index: 0n, width: 256 });
    const root = (tile: Uint8Array): Promise<unknown> =>
      readRoot(
        7n,
        makeTileHashReader(7n, async () => tile),
      );
    expect(await root(full)).toEqual(tree.roots[7]);
    for (const length of [0, 31, 6 * 32, 8 * 32, 255 * 32, 8193]) {
      const tile = length > full.length ? concat(full, Uint8Array.of(0)) : full.slice(0, length);
      await expect(root(tile)).rejects.toMatchObject({ code: "ERR_TILE_LENGTH" });
    }
  });

  test("gives another root when one bit of any tile that it reads is flipped", async () => {
    const flipped = makeTileHashReader(600n, async (ref) => {
      const tile = await hashTile(ref);
      tile[40] = (tile[40] ?? 0) ^ 1;
      return tile;
    });
    expect(await readRoot(600n, flipped)).not.toEqual(tree.roots[600]);
  });
});

describe("an entry bundle", () => {
  const entries = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 256 });

  test("of any entries comes back", () => {
    fc.assert(
      fc.property(entries, (list) => {
        expect(parseEntryBundle(formatEntryBundle(list), list.length).map((entry) => [...entry])).toEqual(
          list.map((entry) => [...entry]),
        );
      }),
      { numRuns: 50 },
    );
  });

  test("is refused truncated anywhere, with a byte too many, and at another width", () => {
    const bundle = formatEntryBundle([Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4)]);
    for (let length = 0; length < bundle.length; length += 1) {
      expect(codeOf(() => parseEntryBundle(bundle.subarray(0, length), 3))).toBe("ERR_BUNDLE_LENGTH");
    }
    expect(codeOf(() => parseEntryBundle(concat(bundle, Uint8Array.of(0)), 3))).toBe("ERR_BUNDLE_LENGTH");
    for (const width of [0, 1, 2, 4, 257, 1.5]) {
      expect(codeOf(() => parseEntryBundle(bundle, width))).toBe("ERR_BUNDLE_LENGTH");
    }
  });

  test("holds entries of up to 65,535 bytes, and 1 to 256 of them", () => {
    const longest = new Uint8Array(MAX_ENTRY_BYTES);
    expect(parseEntryBundle(formatEntryBundle([longest]), 1)[0]?.length).toBe(MAX_ENTRY_BYTES);
    expect(codeOf(() => formatEntryBundle([new Uint8Array(MAX_ENTRY_BYTES + 1)]))).toBe("ERR_ENTRY_LENGTH");
    expect(codeOf(() => formatEntryBundle([]))).toBe("ERR_BUNDLE_LENGTH");
    expect(codeOf(() => formatEntryBundle(new Array<Uint8Array>(257).fill(Uint8Array.of(1))))).toBe(
      "ERR_BUNDLE_LENGTH",
    );
  });
});

test("a leaf is the node of level 0", async () => {
  const [first] = tree.leaves;
  if (first === undefined) throw new Error("no leaf");
  expect(await tree.reader.readNodes([{ level: 0, index: 0n }])).toEqual([asNodeHash(first)]);
});
