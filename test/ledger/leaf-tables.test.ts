import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { formatUint64 } from "../../kernel/bytes.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { asNodeHash, hashLeaf, type LeafHash, type NodeHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { LeafSource } from "../../ledger/leaves/leaf-store.ts";
import { formatTableName, type LeafRange, parseTableName, tableBytes } from "../../ledger/leaves/leaf-table.ts";
import { LeafTables } from "../../ledger/leaves/leaf-tables.ts";
import { OpenTable } from "../../ledger/leaves/open-table.ts";
import { makeInlineTableMaker } from "../../ledger/leaves/table-thread.ts";
import { buildTable, mergeTables } from "../../ledger/leaves/table-writer.ts";
import { LeafFilter } from "../../ledger/sequence/leaf-filter.ts";

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "countersign-leaves-"));
  folders.push(folder);
  return folder;
}

const leafOf = (i: number): LeafHash => hashLeaf(formatUint64(BigInt(i)));
const LEAVES = Array.from({ length: 5000 }, (_, i) => leafOf(i));

function bytesOf(leaves: readonly LeafHash[]): Uint8Array {
  return new Uint8Array(Buffer.concat(leaves));
}

function rootOf(leaves: readonly LeafHash[]): NodeHash {
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  return asNodeHash(range.root());
}

/** A log with these leaves, that counts the tiles it was asked for. */
function makeSource(leaves: readonly LeafHash[]): { readonly source: LeafSource; readonly read: number[] } {
  const read: number[] = [];
  const source: LeafSource = {
    size: leaves.length,
    rootOf: ({ first, count }) => Promise.resolve(rootOf(leaves.slice(first, first + count))),
    readTile: (index) => {
      read.push(index);
      return Promise.resolve(bytesOf(leaves.slice(index * 256, (index + 1) * 256)));
    },
  };
  return { source, read };
}

function makeTables(dataDir: string): { readonly tables: LeafTables; readonly rebuilt: (readonly number[])[] } {
  const rebuilt: (readonly number[])[] = [];
  const onRebuild = (leaves: number, of: number): void => void rebuilt.push([leaves, of]);
  return { tables: new LeafTables({ dataDir, maker: makeInlineTableMaker(), runEntries: 256, onRebuild }), rebuilt };
}

/** A folder with tables of a log of `LEAVES`. */
async function filled(leaves = LEAVES): Promise<string> {
  const folder = await makeFolder();
  const { tables } = makeTables(folder);
  await tables.bind(makeSource(leaves).source);
  await tables.close();
  return folder;
}

/** Writes the table of the first `count` leaves. */
async function write(leaves: readonly LeafHash[]): Promise<{ readonly path: string; readonly range: LeafRange }> {
  const range = { first: 0, count: leaves.length };
  const path = join(await makeFolder(), formatTableName(range));
  buildTable({ ...range, path, leaves: bytesOf(leaves), root: rootOf(leaves) });
  return { path, range };
}

/** Code of the fault of a table that is opened and read whole. */
async function faultOf(path: string, range: LeafRange): Promise<unknown> {
  let table: OpenTable | undefined;
  try {
    table = await OpenTable.open(path, range);
    for await (const page of table.pages()) page.getUint8(0);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  } finally {
    await table?.close();
  }
}

describe("a leaf table", () => {
  it("finds each leaf at its place and no other, in one page and in many", async () => {
    for (const count of [1, 2, 256, 1024]) {
      const { path, range } = await write(LEAVES.slice(0, count));
      expect((await readFile(path)).length).toBe(tableBytes(count));
      const table = await OpenTable.open(path, range);
      for (const [i, leaf] of LEAVES.slice(0, 1100).entries()) {
        expect(await table.find(leaf)).toEqual(i < count ? [i] : []);
      }
      await table.close();
    }
  });

  it("finds all leaves that begin alike, also where they fill pages, in the order of the log", async () => {
    const alike = (start: number, i: number): LeafHash => {
      const leaf = new Uint8Array(32).fill(start);
      leaf.set(formatUint64(BigInt(i)), 24);
      return parseLeafHash(leaf);
    };
    const leaves = Array.from({ length: 2048 }, (_, i) => alike([7, 0, 255][i % 3] ?? 0, i));
    const { path, range } = await write(leaves);
    const table = await OpenTable.open(path, range);
    for (const [third, start] of [7, 0, 255].entries()) {
      const want = leaves.flatMap((_, i) => (i % 3 === third ? [i] : []));
      expect(await table.find(alike(start, 1))).toEqual(want);
    }
    expect(await table.find(alike(8, 1))).toEqual([]);
    await table.close();
  });

  it("is noticed to be damaged by every byte that changes and by every cut", async () => {
    const { path, range } = await write(LEAVES.slice(0, 256));
    const whole = new Uint8Array(await readFile(path));
    expect(await faultOf(path, range)).toBeUndefined();
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(path, damaged);
      expect([at, await faultOf(path, range)]).toEqual([at, "ERR_INDEX_ROW"]);
    }
    for (let length = 0; length < whole.length; length += 41) {
      await writeFile(path, whole.subarray(0, length));
      expect([length, await faultOf(path, range)]).toEqual([length, "ERR_INDEX_ROW"]);
    }
    await writeFile(path, Buffer.concat([whole, Buffer.alloc(1)]));
    expect(await faultOf(path, range)).toBe("ERR_INDEX_ROW");
  });

  it("is refused under the name of another range, and has one name", async () => {
    const { path, range } = await write(LEAVES.slice(0, 256));
    expect(await faultOf(path, { ...range, first: 256 })).toBe("ERR_INDEX_ROW");
    for (const each of [range, { first: 1 << 20, count: 1 << 18 }]) {
      expect(parseTableName(formatTableName(each))).toEqual(each);
    }
    const names = [
      "0-8.leaves",
      "0000000000000001-08.leaves",
      "0000000000000000-32.leaves",
      "0000000000000000-08.leaves.tmp",
    ];
    expect(names.map(parseTableName)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("that is merged is byte by byte the one that is made at once", async () => {
    const whole = await write(LEAVES.slice(0, 2048));
    const folder = await makeFolder();
    const parts = [0, 512, 1024, 1536].map((first) => {
      const range = { first, count: 512 };
      const some = LEAVES.slice(first, first + 512);
      const path = join(folder, formatTableName(range));
      buildTable({ ...range, path, leaves: bytesOf(some), root: rootOf(some) });
      return { ...range, path };
    });
    const path = join(folder, "merged");
    mergeTables({ ...whole.range, path, root: rootOf(LEAVES.slice(0, 2048)), parts });
    expect(await readFile(path)).toEqual(await readFile(whole.path));
  });
});

describe("the tables of a log", () => {
  it("cover its whole runs, find the first entry of each leaf, and are merged by fours", async () => {
    const folder = await makeFolder();
    const { tables } = makeTables(folder);
    const repeated = [...LEAVES.slice(0, 4000), ...LEAVES.slice(0, 1000)];
    await tables.bind(makeSource(repeated.slice(0, 700)).source);
    expect(tables.size).toBe(512);
    await tables.close();
    const { tables: again, rebuilt } = makeTables(folder);
    const { source } = makeSource(repeated);
    await again.bind({ ...source, size: 700 });
    expect(rebuilt).toEqual([]);
    for (let first = 512; first + 256 <= repeated.length; first += 256) {
      await again.add({ first, leaves: bytesOf(repeated.slice(first, first + 256)) });
    }
    expect(again.size).toBe(4864);
    const found = await again.find(LEAVES);
    expect(found).toEqual(LEAVES.map((_, i) => (i < 4000 ? i : undefined)));
    await again.close();
    // 4,864 leaves are 4,096 and three runs of 256.
    expect((await readdir(join(folder, "leaves"))).length).toBeLessThanOrEqual(7);
    const { tables: last } = makeTables(folder);
    await last.bind({ ...source, size: 4864 });
    expect(await readdir(join(folder, "leaves"))).toEqual([
      "0000000000000000-12.leaves",
      "0000000000004096-08.leaves",
      "0000000000004352-08.leaves",
      "0000000000004608-08.leaves",
    ]);
    await last.close();
  });

  it("are made again where they are damaged, cut, missing or of another log, and answer as before", async () => {
    const others = LEAVES.map((_, i) => leafOf(i + 1_000_000));
    const foreign = join(await filled(others), "leaves", "0000000000000000-12.leaves");
    const damages: readonly ((path: string, bytes: Uint8Array) => Promise<void>)[] = [
      (path) => rm(path),
      (path, bytes) => writeFile(path, bytes.subarray(0, bytes.length - 1)),
      (path, bytes) =>
        writeFile(
          path,
          bytes.map((byte, i) => (i === bytes.length - 40 ? byte ^ 1 : byte)),
        ),
      async (path) => writeFile(path, await readFile(foreign)),
    ];
    for (const damage of damages) {
      const folder = await filled();
      const path = join(folder, "leaves", "0000000000000000-12.leaves");
      const whole = new Uint8Array(await readFile(path));
      await damage(path, whole);
      const { tables, rebuilt } = makeTables(folder);
      await tables.bind(makeSource(LEAVES).source);
      expect(rebuilt).toEqual([[4864, 4864]]);
      expect(await tables.find(LEAVES)).toEqual(LEAVES.map((_, i) => (i < 4864 ? i : undefined)));
      expect(new Uint8Array(await readFile(path))).toEqual(whole);
      await tables.close();
    }
  });

  it("are made again when a look-up meets a damaged page, whatever byte of it, and are right in that look-up", async () => {
    const folder = await filled();
    const path = join(folder, "leaves", "0000000000004096-08.leaves");
    const whole = new Uint8Array(await readFile(path));
    for (let at = 0; at < 256 * 12 + 4; at += 97) {
      const { tables, rebuilt } = makeTables(folder);
      await tables.bind(makeSource(LEAVES).source);
      const damaged = whole.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await writeFile(path, damaged);
      const asked = [LEAVES[4100], LEAVES[4351], LEAVES[5]].flatMap((leaf) => leaf ?? []);
      expect(await tables.find(asked)).toEqual([4100, 4351, 5]);
      expect(rebuilt).toEqual([[256, 4352]]);
      await tables.close();
      expect(new Uint8Array(await readFile(path))).toEqual(whole);
    }
  });

  it("are made again when a merge meets a damaged one", async () => {
    const leaves = LEAVES.slice(0, 1024);
    const folder = await filled(leaves.slice(0, 768));
    const { tables, rebuilt } = makeTables(folder);
    const { source } = makeSource(LEAVES);
    await tables.bind({ ...source, size: 768 });
    const path = join(folder, "leaves", "0000000000000256-08.leaves");
    const whole = new Uint8Array(await readFile(path));
    await writeFile(path, whole.fill(0, 100, 200));
    for (const first of [768, 1024]) {
      await tables.add({ first, leaves: bytesOf(LEAVES.slice(first, first + 256)) });
    }
    expect(rebuilt).toEqual([[1024, 1024]]);
    expect(await tables.find(LEAVES.slice(0, 1300))).toEqual(
      LEAVES.slice(0, 1300).map((_, i) => (i < 1280 ? i : undefined)),
    );
    await tables.close();
  });

  it("are not made of tiles that do not give the tree", async () => {
    const { source } = makeSource(LEAVES);
    const readTile = (index: number): Promise<Uint8Array> => source.readTile(index === 3 ? 4 : index);
    const { tables } = makeTables(await makeFolder());
    await expect(tables.bind({ ...source, readTile })).rejects.toMatchObject({ code: "ERR_TILE_DAMAGE", fatal: true });
  });

  it("go on from what a crash leaves: a part of a table, and parts beside the table that was made of them", async () => {
    const folder = await filled();
    const leaves = join(folder, "leaves");
    const whole = await readFile(join(leaves, "0000000000004096-08.leaves"));
    await writeFile(join(leaves, "0000000000004864-08.leaves.tmp"), whole.subarray(0, 100));
    await writeFile(join(leaves, "0000000000000256-08.leaves"), whole);
    const { tables, rebuilt } = makeTables(folder);
    await tables.bind(makeSource(LEAVES).source);
    expect([rebuilt, (await readdir(leaves)).length]).toEqual([[], 4]);
    await tables.close();
  });

  it("give a filter that holds every leaf of theirs and rules out nearly all others, and none if one is damaged", async () => {
    const folder = await filled();
    const { tables } = makeTables(folder);
    await tables.bind(makeSource(LEAVES).source);
    const filter = new LeafFilter();
    filter.adopt(await tables.filter());
    expect(LEAVES.slice(0, 4864).every((leaf) => filter.mayHold(leaf))).toBe(true);
    const strangers = Array.from({ length: 5000 }, (_, i) => leafOf(1_000_000 + i));
    expect(strangers.filter((leaf) => filter.mayHold(leaf)).length).toBeLessThan(50);
    const path = join(folder, "leaves", "0000000000004608-08.leaves");
    await writeFile(path, new Uint8Array(await readFile(path)).fill(0, 50, 51));
    await expect(tables.filter()).rejects.toMatchObject({ code: "ERR_INDEX_ROW" });
    await tables.close();
  });
});
