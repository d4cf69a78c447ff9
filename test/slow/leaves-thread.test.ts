/** The thread that reads the leaves of a log, as it is built (needs `npm run build`). */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { HASH_BYTES } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { formatTilePath } from "../../kernel/tile/path.ts";
import type { FilterPart } from "../../ledger/sequence/leaf-filter.ts";
import { readInThread } from "../../ledger/sequence/leaves-thread.ts";
import { type FullTileLeaves, readInPlace } from "../../ledger/sequence/log-leaves.ts";
import { numberedLeaves } from "../support/memory-tree.ts";

const TILES = 70;
const BUILT = new URL("../../dist/ledger/sequence/leaves-worker.js", import.meta.url);
const leaves = numberedLeaves("entry", TILES * TILE_WIDTH);
const tiles = Array.from({ length: TILES }, (_, i) =>
  Buffer.concat(leaves.slice(i * TILE_WIDTH, (i + 1) * TILE_WIDTH)),
);
const open = new AbortController().signal;

let folder = "";
let job: FullTileLeaves;

const pathOf = (tile: number): string =>
  join(folder, formatTilePath({ kind: "hash", level: 0, index: BigInt(tile), width: TILE_WIDTH }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "countersign-leaves-"));
  await mkdir(dirname(pathOf(0)), { recursive: true });
  for (const [i, tile] of tiles.entries()) await writeFile(pathOf(i), tile);
  const range = CompactRange.empty();
  for (const leaf of leaves) range.append(leaf);
  job = { tiles: TILES, root: range.root() };
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const readTiles = (): ReturnType<typeof readInThread> =>
  readInThread(folder, (workerData) => new Worker(BUILT, { workerData }));

function bytesOf(part: FilterPart | undefined): Uint8Array {
  return part === undefined ? new Uint8Array(0) : new Uint8Array(part.words.buffer);
}

describe("the thread that reads the leaves of a log", () => {
  it("fills what the serving thread would", async () => {
    const here = await readInPlace((at) => Promise.resolve(tiles[at]))(job, open);
    const there = await readTiles()(job, open);
    expect(here?.words.length).toBeGreaterThan((TILES * TILE_WIDTH) / 32);
    expect(Buffer.compare(bytesOf(there), bytesOf(here))).toBe(0);
  });

  it("gives nothing if a tile has another byte, or is missing, and when the log is closed", async () => {
    expect(await readTiles()(job, AbortSignal.abort())).toBeUndefined();
    const damaged = Buffer.from(tiles[3] ?? []);
    damaged[HASH_BYTES] = (damaged[HASH_BYTES] ?? 0) ^ 1;
    await writeFile(pathOf(3), damaged);
    expect(await readTiles()(job, open)).toBeUndefined();
    await rm(pathOf(3));
    expect(await readTiles()(job, open)).toBeUndefined();
  });
});
