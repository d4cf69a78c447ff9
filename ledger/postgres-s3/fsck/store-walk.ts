/**
 * Reads the entries of a log in groups of one bundle each: from the bucket as far as the recorded head says that bundles are
 * stored, then from the rows of sequenced entries. Nodes may work meanwhile: a row that is gone is in a bundle by then. Where no
 * row goes on, the hole is named once, and the walk goes on behind it as long as the database or the bucket has anything there.
 */

import { equalBytes } from "../../../kernel/bytes.ts";
import { isCodedError } from "../../../kernel/errors.ts";
import { HASH_BYTES, hashLeaf, type LeafHash, parseLeafHash } from "../../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../../kernel/tile/entry-bundle.ts";
import { formatTilePath } from "../../../kernel/tile/path.ts";
import { parseOrNothing } from "../../fsck/entry-reader.ts";
import type { Findings } from "../../fsck/finding.ts";
import { type FoundEntry, type Group, placeEntries } from "../../fsck/log-walk.ts";
import { RecentMap } from "../../tree/recent-map.ts";
import type { Sql } from "../database.ts";
import { parseEdge } from "../edge-bytes.ts";
import { type HeadRow, readHeadRow } from "../head-table.ts";
import { readAhead } from "./ahead-bundle.ts";
import { BATCH_PLACE, type BatchRow, isCovered, SEQUENCE_PLACE, SequencedRows } from "./sequenced-rows.ts";
import type { LogSnapshot } from "./snapshot.ts";
import { HEAD_PLACE, type StoreFolder } from "./store-folder.ts";

const WIDTH = BigInt(TILE_WIDTH);
/** Bundles kept after a read. */
const CACHED = 16;

/** What the walk reads. */
export interface StoreWalkParts {
  readonly sql: Sql;
  readonly folder: StoreFolder;
  readonly findings: Findings;
  readonly snapshot: LogSnapshot;
}

/** Walks the log of a snapshot. */
export class StoreWalk {
  readonly #parts: StoreWalkParts;
  readonly #rows: SequencedRows;
  readonly #recent = new RecentMap<bigint, readonly Uint8Array[]>(CACHED);
  #head: HeadRow;
  /** Leaf hashes of the partial tile of the head, by its edge. */
  #edge: readonly LeafHash[];
  /** Holes below this index are named. */
  #named = 0n;

  constructor(parts: StoreWalkParts) {
    this.#parts = parts;
    this.#rows = new SequencedRows(parts.sql, parts.snapshot, parts.findings);
    this.#head = parts.snapshot.head;
    this.#edge = this.#readEdge();
  }

  /** Bundles that the newest head that was read says to be stored. */
  get #stored(): bigint {
    return this.#head.size / WIDTH;
  }

  async *groups(): AsyncGenerator<Group, void, undefined> {
    const { next } = this.#parts.snapshot;
    for (let index = 0n; index * WIDTH < next; index += 1n) {
      if (index >= this.#stored) await this.#refresh();
      const end = minimum((index + 1n) * WIDTH, next);
      const path = formatTilePath({ kind: "entries", index, width: TILE_WIDTH });
      const entries = index < this.#stored ? await this.#bundle(path, index) : await this.#sequenced(index, end);
      if (entries === undefined) return;
      const width = Number(end - index * WIDTH);
      const placed = Array.from({ length: width }, (_, i) => entries[i]);
      const isStored = index < this.#stored;
      yield { index, path, entries: placed, isStored, isPending: !isStored };
    }
  }

  /** Entries of a bundle, after the walk; those of one that is in no bundle from the rows. Empty where they are damaged. */
  async entriesOf(index: bigint): Promise<readonly Uint8Array[]> {
    const known = this.#recent.get(index);
    if (known !== undefined) return known;
    const found = await this.#readEntries(index);
    this.#recent.set(index, found);
    return found;
  }

  async #readEntries(index: bigint): Promise<readonly Uint8Array[]> {
    const [start, end] = [index * WIDTH, minimum((index + 1n) * WIDTH, this.#parts.snapshot.next)];
    if (index >= this.#stored) {
      const found = await this.#rows.entriesOf(start, end);
      if (isWhole(found, end - start)) return found;
      // An integrator may have stored the bundle, and dropped the rows, since the head was read.
      await this.#refresh();
    }
    const bytes = await this.#parts.folder.read(formatTilePath({ kind: "entries", index, width: TILE_WIDTH }));
    return bytes === undefined ? this.#rows.entriesOf(start, end) : parseOrNothing(bytes);
  }

  /** Compares rows whose entries are in bundles too; finds rows that cannot be read, and those beyond the next index. */
  async compareRows(): Promise<void> {
    for await (const row of this.#rows.all()) await this.#compareRow(row);
    await this.#rows.checkNext();
  }

  async #compareRow({ first, entries = [] }: BatchRow): Promise<void> {
    for (const [i, entry] of entries.entries()) {
      const index = first + BigInt(i);
      if (index / WIDTH >= this.#stored) return;
      const other = (await this.entriesOf(index / WIDTH))[Number(index % WIDTH)];
      if (other === undefined || equalBytes(other, entry)) continue;
      const message = "its bundle has another entry here";
      this.#parts.findings.add({ path: `${BATCH_PLACE}/${first}`, code: "ERR_BATCH_DAMAGE", index, message });
      return;
    }
  }

  async #refresh(): Promise<void> {
    const head = await readHeadRow(this.#parts.sql, this.#parts.snapshot.log);
    if (head.size === this.#head.size) return;
    this.#head = head;
    this.#edge = this.#readEdge();
  }

  /** Judges the edge of the head: it must give the root that stands beside it. */
  #readEdge(): readonly LeafHash[] {
    const { edge, size, root } = this.#head;
    try {
      const bytes = size === 0n ? new Uint8Array(0) : (parseEdge(edge, size, root)[0]?.bytes ?? new Uint8Array(0));
      return Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
        parseLeafHash(bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
      );
    } catch (error) {
      if (!isCodedError(error)) throw error;
      this.#parts.findings.add({ path: HEAD_PLACE, code: error.code, message: error.message });
      return [];
    }
  }

  /** A stored bundle; nothing of it if it is missing or damaged. */
  async #bundle(path: string, index: bigint): Promise<readonly FoundEntry[]> {
    const { folder, findings } = this.#parts;
    folder.reachBundle(index, this.#stored);
    const bytes = await folder.read(path);
    if (bytes === undefined) {
      findings.add({ path, code: "ERR_TILE_MISSING", index: index * WIDTH, message: "the bundle is missing" });
      return [];
    }
    try {
      return placeEntries(path, bytes, parseEntryBundle(bytes, TILE_WIDTH));
    } catch (error) {
      if (!isCodedError(error)) throw error;
      findings.add({ path, code: error.code, index: index * WIDTH, message: error.message });
      return [];
    }
  }

  /** Entries [first of the group, end) from rows; undefined where the log has nothing any more, which is then a finding. */
  async #sequenced(index: bigint, end: bigint): Promise<readonly (FoundEntry | undefined)[] | undefined> {
    const { sql, snapshot, folder, findings } = this.#parts;
    const [start, path] = [index * WIDTH, formatTilePath({ kind: "entries", index, width: TILE_WIDTH })];
    let rows = await this.#rows.rowsOf(start, end);
    if (!isCovered(rows, start, end)) {
      // An integrator may have stored the bundle, and dropped the rows, since the head was read.
      await this.#refresh();
      if (index < this.#stored) return this.#bundle(path, index);
      rows = await this.#rows.rowsOf(start, end);
    }
    if (rows.length === 0 && (await this.#isOver(start))) return undefined;
    const found = this.#place(rows, start, end);
    // What a damaged row has cannot be said; it is named itself.
    if (rows.every(({ entries }) => entries !== undefined)) await this.#nameHoles(found, start, rows);
    return readAhead({ sql, log: snapshot.log, folder, findings }, { index, path, entries: found });
  }

  /** Says so where the rows end in front of the next index. True if the bucket has nothing from there on either. */
  async #isOver(start: bigint): Promise<boolean> {
    const { snapshot, findings, folder } = this.#parts;
    if (this.#named < snapshot.next && (await this.#rows.firstBehind(start)) === undefined) {
      this.#named = snapshot.next;
      const message = `the next index is ${snapshot.next}, and no row has an entry from ${start} on`;
      findings.add({ path: SEQUENCE_PLACE, code: "ERR_LOG_BEHIND", index: start, message });
    }
    return this.#named >= snapshot.next && folder.reach <= start;
  }

  #place(rows: readonly BatchRow[], start: bigint, end: bigint): (FoundEntry | undefined)[] {
    const found: (FoundEntry | undefined)[] = Array.from({ length: Number(end - start) }, () => undefined);
    for (const { first, entries = [] } of rows) {
      for (const [i, bytes] of entries.entries()) {
        const at = Number(first + BigInt(i) - start);
        if (at >= 0 && at < found.length) found[at] = this.#judge(bytes, first, start + BigInt(at));
      }
    }
    return found;
  }

  /** Names the holes that begin here; one may be of many groups. */
  async #nameHoles(
    found: readonly (FoundEntry | undefined)[],
    start: bigint,
    rows: readonly BatchRow[],
  ): Promise<void> {
    for (const [i, entry] of found.entries()) {
      const index = start + BigInt(i);
      if (entry !== undefined || index < this.#named) continue;
      const { next } = this.#parts.snapshot;
      this.#named = (await this.#rows.firstBehind(index)) ?? next;
      const path = `${BATCH_PLACE}/${rows.findLast(({ first }) => first <= index)?.first ?? index}`;
      const message = `entries ${index} to ${this.#named - 1n} are in no row`;
      this.#parts.findings.add({ path, code: "ERR_BATCH_DAMAGE", index, message });
    }
  }

  /** The edge, whose root is the recorded one, says which leaf belongs here; rows above the head have no such judge. */
  #judge(bytes: Uint8Array, first: bigint, index: bigint): FoundEntry {
    const path = `${BATCH_PLACE}/${first}`;
    const leaf = hashLeaf(bytes);
    const wanted = index < this.#head.size ? this.#edge[Number(index % WIDTH)] : undefined;
    if (wanted !== undefined && !equalBytes(wanted, leaf)) {
      const message = "the entry is not the one that the recorded head has";
      this.#parts.findings.add({ path, code: "ERR_BATCH_DAMAGE", index, message });
    }
    return { bytes, leaf: wanted ?? leaf, isSure: true, path, offset: bytes.byteOffset };
  }
}

function isWhole(entries: readonly Uint8Array[], count: bigint): boolean {
  return Object.keys(entries).length === Number(count);
}

function minimum(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
