/**
 * Reads the entries of the log in groups of one bundle each, from bundles and write-ahead log together, one file of
 * each at a time. A frame of the write-ahead log has a checksum: where it and a bundle differ, the bundle is wrong.
 */

import { equalBytes } from "../../kernel/bytes.ts";
import { isCodedError } from "../../kernel/errors.ts";
import { HASH_BYTES, hashLeaf, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import { TILE_WIDTH } from "../../kernel/tile/coordinates.ts";
import { parseEntryBundle } from "../../kernel/tile/entry-bundle.ts";
import { formatTilePath, parseTilePath } from "../../kernel/tile/path.ts";
import type { DataFolder } from "./data-folder.ts";
import type { Findings } from "./finding.ts";
import type { WalAudit, WalPart } from "./wal-audit.ts";

const WIDTH = BigInt(TILE_WIDTH);
const LENGTH_BYTES = 2;

/** One entry of a group, as far as the disk gives it. */
export interface FoundEntry {
  readonly bytes: Uint8Array;
  readonly leaf: LeafHash;
  /** Whether the write-ahead log vouches for it. */
  readonly isSure: boolean;
  readonly path: string;
  readonly offset: number;
}

/** The entries of one bundle, full or not. */
export interface Group {
  /** Number of the bundle. */
  readonly index: bigint;
  /** 1 to 256 places; undefined where no file gives the entry. */
  readonly entries: readonly (FoundEntry | undefined)[];
  /** Path of the bundle, whether it exists or not. */
  readonly path: string;
  /** Whether the bundle stands on disk, readable. */
  readonly isStored: boolean;
  /** Whether its tiles may still come; not given, they may if the write-ahead log vouches for every entry. */
  readonly isPending?: boolean;
}

/** What the walk tells of the records that are no entries. */
export type OnBeside = (part: WalPart) => void;

/** Number of bundles that the log has on disk by the names of the files; holes count. */
export function countBundles(paths: readonly string[]): bigint {
  let count = 0n;
  for (const path of paths) {
    const ref = refOf(path);
    if (ref?.kind === "entries" && ref.width === TILE_WIDTH && ref.index >= count) count = ref.index + 1n;
  }
  return count;
}

/** The tile that a path names, or undefined. */
export function refOf(path: string): ReturnType<typeof parseTilePath> | undefined {
  try {
    return parseTilePath(path);
  } catch (error) {
    if (isCodedError(error)) return undefined;
    throw error;
  }
}

/** The entries of a stored bundle, which are views of its bytes, each with its place. */
export function placeEntries(path: string, bundle: Uint8Array, entries: readonly Uint8Array[]): readonly FoundEntry[] {
  return entries.map((entry) => {
    const offset = entry.byteOffset - bundle.byteOffset - LENGTH_BYTES;
    return { bytes: entry, leaf: hashLeaf(entry), isSure: false, path, offset };
  });
}

/** Walks the whole log once. */
export class LogWalk {
  readonly #folder: DataFolder;
  readonly #findings: Findings;
  readonly #onBeside: OnBeside;
  readonly #parts: AsyncGenerator<WalPart, void, undefined>;
  #part: WalPart | undefined;

  constructor(folder: DataFolder, findings: Findings, wal: WalAudit, onBeside: OnBeside) {
    this.#folder = folder;
    this.#findings = findings;
    this.#onBeside = onBeside;
    this.#parts = wal.parts();
  }

  /**
   * @param bundles  number of bundles on disk
   * @param signedSize  of the largest head: bundles that it needs must be there, later ones may still come
   * @param minimumIndex  bundles that end at or below it may be gone: their leaf hashes come from their tiles
   */
  async *groups(bundles: bigint, signedSize: bigint, minimumIndex: bigint): AsyncGenerator<Group, void, undefined> {
    await this.#advance();
    for (let index = 0n; ; index += 1n) {
      const path = formatTilePath({ kind: "entries", index, width: TILE_WIDTH });
      const known = await this.#takeFromWal(index);
      const hasMore = this.#part !== undefined;
      const highest = Math.max(-1, ...known.keys());
      if (index >= bundles && highest === -1 && !hasMore) return;
      const pruned = (index + 1n) * WIDTH <= minimumIndex ? await this.#readPruned(path, index) : undefined;
      if (pruned !== undefined) {
        yield { index, path, entries: pruned, isStored: true };
        continue;
      }
      const isWhole = index < bundles || hasMore || highest === TILE_WIDTH - 1;
      const stored = isWhole ? await this.#readBundle(path, index, known, signedSize) : [];
      const width = isWhole ? TILE_WIDTH : highest + 1;
      const entries = Array.from({ length: width }, (_, i) => known.get(i) ?? stored[i]);
      yield { index, path, entries, isStored: stored.length > 0 };
    }
  }

  /** Entries of the group that stand in the write-ahead log. */
  async #takeFromWal(index: bigint): Promise<Map<number, FoundEntry>> {
    const found = new Map<number, FoundEntry>();
    const [start, end] = [index * WIDTH, (index + 1n) * WIDTH];
    while (this.#part !== undefined && this.#part.firstIndex < end) {
      const { path, offset, firstIndex, entries } = this.#part;
      for (const [i, bytes] of entries.entries()) {
        const at = firstIndex + BigInt(i);
        if (at < start || at >= end) continue;
        found.set(Number(at - start), { bytes, leaf: hashLeaf(bytes), isSure: true, path, offset });
      }
      if (firstIndex + BigInt(entries.length) > end) break;
      await this.#advance();
    }
    return found;
  }

  async #advance(): Promise<void> {
    const next = await this.#parts.next();
    this.#part = next.done === true ? undefined : next.value;
    if (this.#part !== undefined && this.#part.beside.length > 0) this.#onBeside(this.#part);
  }

  /** Leaf hashes of a bundle that was deleted, without entries; undefined if it is there, or its tile is not. */
  async #readPruned(path: string, index: bigint): Promise<readonly FoundEntry[] | undefined> {
    if ((await this.#folder.read(path)) !== undefined) return undefined;
    const tilePath = formatTilePath({ kind: "hash", level: 0, index, width: TILE_WIDTH });
    const tile = await this.#folder.read(tilePath);
    if (tile?.length !== TILE_WIDTH * HASH_BYTES) return undefined;
    return Array.from({ length: TILE_WIDTH }, (_, i) => {
      const leaf = parseLeafHash(tile.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
      return { bytes: new Uint8Array(0), leaf, isSure: false, path: tilePath, offset: i * HASH_BYTES };
    });
  }

  /** A bundle's entries, compared with what the write-ahead log has of them. */
  async #readBundle(
    path: string,
    index: bigint,
    known: Map<number, FoundEntry>,
    signedSize: bigint,
  ): Promise<readonly FoundEntry[]> {
    const bytes = await this.#folder.read(path);
    if (bytes === undefined) {
      const isPending = known.size === TILE_WIDTH && (index + 1n) * WIDTH > signedSize;
      this.#addMissing(path, index, isPending);
      return [];
    }
    let entries: readonly Uint8Array[];
    try {
      entries = parseEntryBundle(bytes, TILE_WIDTH);
    } catch (error) {
      if (!isCodedError(error)) throw error;
      this.#findings.add({ path, code: error.code, index: index * WIDTH, message: error.message });
      return [];
    }
    const stored = placeEntries(path, bytes, entries);
    this.#compare(stored, known, index);
    return stored;
  }

  #compare(stored: readonly FoundEntry[], known: ReadonlyMap<number, FoundEntry>, index: bigint): void {
    for (const [i, { leaf, path, offset }] of stored.entries()) {
      const sure = known.get(i);
      if (sure === undefined || equalBytes(sure.leaf, leaf)) continue;
      const message = "the write-ahead log has another entry here";
      this.#findings.add({ path, code: "ERR_TILE_DAMAGE", offset, index: index * WIDTH + BigInt(i), message });
      return;
    }
  }

  /** A bundle that the write-ahead log still has whole may not have been written yet: a start writes it. */
  #addMissing(path: string, index: bigint, isPending: boolean): void {
    if (isPending) this.#findings.remark(path, "not written yet; a start writes it from the write-ahead log");
    else if (!this.#findings.names(path)) {
      this.#findings.add({ path, code: "ERR_TILE_MISSING", index: index * WIDTH, message: "the bundle is missing" });
    }
  }
}
