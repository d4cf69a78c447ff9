/**
 * The leaf store of the driver `files`: tables in the folder `leaves` (leaf-table.ts), each run of the log one, and four that lie
 * side by side merged into one, so that their number follows the logarithm of the log's size. What is damaged, cut, missing or of
 * another log is removed and made again from the tiles, at a start or when a look-up meets it.
 */

import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { equalBytes } from "../../kernel/bytes.ts";
import { FormatError, invariant, StoreError } from "../../kernel/errors.ts";
import { CompactRange } from "../../kernel/merkle/compact-range.ts";
import { asNodeHash, HASH_BYTES, type LeafHash, type NodeHash } from "../../kernel/merkle/hash.ts";
import { rootOfTile, TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import type { FilterPart } from "../sequence/leaf-filter.ts";
import type { LeafRun, LeafSource, LeafStore } from "./leaf-store.ts";
import { formatTableName, type LeafRange, parseTableName } from "./leaf-table.ts";
import { OpenTable } from "./open-table.ts";
import type { TableMaker } from "./table-thread.ts";

/** Name of the folder. */
export const LEAVES_FOLDER = "leaves";
/** Leaves of a table before it is merged. */
const RUN_ENTRIES = 65_536;
const MERGED_TABLES = 4;
/** Above so many leaves tables are not merged any more: to merge these takes a second. */
const MAX_TABLE_ENTRIES = 2 ** 24;
/** Times that one look-up has a damaged table made again; more often the disk is to blame. */
const MAX_RENEWALS = 64;
/** Leaves that are looked up at the same time. */
const LOOKUPS = 64;

/** What the store works with. */
export interface LeafTablesOptions {
  readonly dataDir: string;
  readonly maker: TableMaker;
  /** A power of two, at least 256. Default 65,536. */
  readonly runEntries?: number;
  /** Told before tables are made from tiles: how many leaves they are to cover, of how many. */
  readonly onRebuild?: (leaves: number, of: number) => void;
}

const NO_PATHS: ReadonlySet<string> = new Set();

/** A look-up met a damaged table. */
class Damaged extends Error {
  readonly table: OpenTable;

  constructor(table: OpenTable) {
    super("a leaf table is damaged");
    this.table = table;
  }
}

/** Opens nothing yet: `bind` does. */
export class LeafTables implements LeafStore {
  readonly runEntries: number;
  readonly #options: LeafTablesOptions;
  readonly #folder: string;
  #source: LeafSource | undefined;
  /** In the order of the log, without gaps. Replaced, never changed: a look-up goes on with those that it began with. */
  #tables: readonly OpenTable[] = [];
  /** Look-ups that are on their way, and tables that are closed when there are none. */
  #lookups = 0;
  #left: OpenTable[] = [];
  /** Whatever changes tables, one after the other. */
  #jobs: Promise<void> = Promise.resolve();

  constructor(options: LeafTablesOptions) {
    this.#options = options;
    this.runEntries = options.runEntries ?? RUN_ENTRIES;
    this.#folder = join(options.dataDir, LEAVES_FOLDER);
  }

  get size(): number {
    return endOf(this.#tables.at(-1)?.range);
  }

  async bind(source: LeafSource): Promise<void> {
    this.#source = source;
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const range = { first: 0, count: source.size - (source.size % this.runEntries) };
    this.#tables = await this.#cover(range, await readdir(this.#folder));
    const kept = new Set(this.#tables.map(({ range: each }) => formatTableName(each)));
    for (const name of await readdir(this.#folder)) {
      if (!kept.has(name)) await rm(join(this.#folder, name), { recursive: true, force: true });
    }
    await this.#merge();
  }

  find(leaves: readonly LeafHash[]): Promise<readonly (number | undefined)[]> {
    return this.#find(leaves, MAX_RENEWALS);
  }

  async #find(leaves: readonly LeafHash[], renewals: number): Promise<readonly (number | undefined)[]> {
    const tables = this.#tables;
    const found: (number | undefined)[] = [];
    this.#lookups += 1;
    try {
      for (let at = 0; at < leaves.length; at += LOOKUPS) {
        const some = leaves.slice(at, at + LOOKUPS);
        found.push(...(await Promise.all(some.map((leaf) => this.#findOne(tables, leaf)))));
      }
      return found;
    } catch (cause) {
      if (!(cause instanceof Damaged)) throw cause;
      if (renewals === 0) throw new StoreError("ERR_INDEX_ROW", "leaf tables stay damaged", { cause, fatal: true });
      await this.#renew(cause.table);
    } finally {
      this.#lookups -= 1;
      await this.#closeLeft();
    }
    return this.#find(leaves, renewals - 1);
  }

  filter(): Promise<FilterPart> {
    return this.#options.maker.filter(this.#tables.map(({ range, path }) => ({ ...range, path })));
  }

  add({ first, leaves }: LeafRun): Promise<void> {
    return this.#inTurn(async () => {
      // What the one before made possible: it did not wait for this.
      await this.#merge();
      invariant(first === this.size, "a run of leaves that is not the next one");
      const range = { first, count: this.runEntries };
      const table = await this.#build(range, leaves, await this.#log.rootOf(range));
      this.#tables = [...this.#tables, table];
    });
  }

  async close(): Promise<void> {
    await this.#jobs.catch(() => undefined);
    const open = [...this.#tables, ...this.#left];
    [this.#tables, this.#left] = [[], []];
    for (const table of open) await table.close();
  }

  get #log(): LeafSource {
    invariant(this.#source !== undefined, "a leaf store is bound before it is used");
    return this.#source;
  }

  /** Runs a task behind those before it, whatever became of them. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#jobs.catch(() => undefined).then(task);
    this.#jobs = done;
    this.#jobs.catch(() => undefined);
    return done;
  }

  /** Tables for a range: those that are there and right, the largest first, and new ones where there are none. */
  async #cover({ first, count }: LeafRange, names: readonly string[]): Promise<readonly OpenTable[]> {
    const end = first + count;
    const ranges = names.flatMap((name) => parseTableName(name) ?? []).toSorted((a, b) => b.count - a.count);
    const tables: OpenTable[] = [];
    let isTold = false;
    try {
      for (let at = first; at < end; at = endOf(tables.at(-1)?.range)) {
        const here = ranges.filter((each) => each.first === at && endOf(each) <= end && each.count >= this.runEntries);
        const found = await this.#firstRight(here);
        if (found === undefined && !isTold) this.#options.onRebuild?.(end - at, end);
        isTold ||= found === undefined;
        tables.push(found ?? (await this.#rebuild(at)));
      }
      return tables;
    } catch (error) {
      for (const table of tables) await table.close();
      throw error;
    }
  }

  async #rebuild(first: number): Promise<OpenTable> {
    const range = { first, count: this.runEntries };
    const root = await this.#log.rootOf(range);
    return this.#build(range, await this.#readLeaves(range, root), root);
  }

  async #firstRight(ranges: readonly LeafRange[]): Promise<OpenTable | undefined> {
    for (const range of ranges) {
      const table = await openOrNothing(join(this.#folder, formatTableName(range)), range);
      if (table === undefined) continue;
      // The root says that it is of this log, and of this place in it.
      if (equalBytes(table.root, await this.#log.rootOf(range))) return table;
      await table.close();
    }
    return undefined;
  }

  async #build(range: LeafRange, leaves: Uint8Array, root: NodeHash): Promise<OpenTable> {
    const path = join(this.#folder, formatTableName(range));
    await this.#options.maker.build({ ...range, path, leaves, root });
    return OpenTable.open(path, range);
  }

  /** @throws {StoreError} ERR_TILE_DAMAGE unless the tiles give the root */
  async #readLeaves({ first, count }: LeafRange, root: NodeHash): Promise<Uint8Array> {
    const leaves = new Uint8Array(new SharedArrayBuffer(count * HASH_BYTES));
    const range = CompactRange.empty();
    for (let at = 0; at < count; at += TILE_WIDTH) {
      const tile = await this.#log.readTile((first + at) / TILE_WIDTH);
      range.append(rootOfTile(tile));
      leaves.set(tile, at * HASH_BYTES);
    }
    if (equalBytes(range.root(), root)) return leaves;
    const last = first + count - 1;
    throw new StoreError("ERR_TILE_DAMAGE", `tiles of entries ${first} to ${last} do not give the tree`, {
      fatal: true,
    });
  }

  /** Merges tables while there are four alike that make up one. */
  async #merge(): Promise<void> {
    for (let parts = this.#mergeable(); parts !== undefined; parts = this.#mergeable()) {
      const first = parts[0]?.range.first ?? 0;
      const range = { first, count: endOf(parts.at(-1)?.range) - first };
      try {
        await this.#replace(parts, [await this.#mergeInto(range, parts)]);
      } catch (error) {
        if (!isDamage(error)) throw error;
        await this.#remake(range, parts);
      }
    }
  }

  async #mergeInto(range: LeafRange, parts: readonly OpenTable[]): Promise<OpenTable> {
    const path = join(this.#folder, formatTableName(range));
    const root = foldRoots(parts.map((part) => part.root));
    const names = parts.map((part) => ({ ...part.range, path: part.path }));
    await this.#options.maker.merge({ ...range, path, root, parts: names });
    return OpenTable.open(path, range);
  }

  /** Makes tables for the range of some again, of which one is damaged. */
  async #remake(range: LeafRange, old: readonly OpenTable[]): Promise<void> {
    for (const { path } of old) await rm(path, { force: true });
    const tables = await this.#cover(range, []);
    const made = new Set(tables.map(({ path }) => path));
    await this.#replace(old, tables, made);
  }

  /** The first four tables alike, side by side, that make up one. */
  #mergeable(): readonly OpenTable[] | undefined {
    for (const [i, { range }] of this.#tables.entries()) {
      const merged = range.count * MERGED_TABLES;
      if (merged > MAX_TABLE_ENTRIES || range.first % merged !== 0) continue;
      const parts = this.#tables.slice(i, i + MERGED_TABLES);
      if (parts.length === MERGED_TABLES && parts.every((part) => part.range.count === range.count)) return parts;
    }
    return undefined;
  }

  /** @param made  files of theirs stay. A crash before the others are removed leaves them, and the next start takes the largest */
  async #replace(
    old: readonly OpenTable[],
    by: readonly OpenTable[],
    made: ReadonlySet<string> = NO_PATHS,
  ): Promise<void> {
    const at = old[0] === undefined ? -1 : this.#tables.indexOf(old[0]);
    invariant(at !== -1, "a leaf table that is replaced is in use");
    this.#tables = [...this.#tables.slice(0, at), ...by, ...this.#tables.slice(at + old.length)];
    this.#left.push(...old);
    for (const { path } of old) if (!made.has(path)) await rm(path, { force: true });
    await this.#closeLeft();
  }

  async #findOne(tables: readonly OpenTable[], leaf: LeafHash): Promise<number | undefined> {
    const places = await Promise.all(tables.map((table) => findIn(table, leaf)));
    for (const index of places.flat()) {
      const tile = await this.#log.readTile(Math.floor(index / TILE_WIDTH));
      const at = (index % TILE_WIDTH) * HASH_BYTES;
      if (equalBytes(tile.subarray(at, at + HASH_BYTES), leaf)) return index;
    }
    return undefined;
  }

  /** Makes the table of a damaged one's range again, unless that was done. */
  #renew(damaged: OpenTable): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#tables.includes(damaged)) await this.#remake(damaged.range, [damaged]);
    });
  }

  async #closeLeft(): Promise<void> {
    if (this.#lookups > 0) return;
    const left = this.#left;
    this.#left = [];
    for (const table of left) await table.close();
  }
}

function endOf(range: LeafRange | undefined): number {
  return range === undefined ? 0 : range.first + range.count;
}

function isDamage(error: unknown): boolean {
  return error instanceof FormatError && error.code === "ERR_INDEX_ROW";
}

/** The table, unless it is not there or damaged. */
async function openOrNothing(path: string, range: LeafRange): Promise<OpenTable | undefined> {
  try {
    return await OpenTable.open(path, range);
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}

async function findIn(table: OpenTable, leaf: LeafHash): Promise<readonly number[]> {
  try {
    return await table.find(leaf);
  } catch (error) {
    throw isDamage(error) ? new Damaged(table) : error;
  }
}

/** Root over subtrees of one width, whose number is a power of two. */
function foldRoots(roots: readonly NodeHash[]): NodeHash {
  const range = CompactRange.empty();
  for (const root of roots) range.append(root);
  return asNodeHash(range.root());
}
