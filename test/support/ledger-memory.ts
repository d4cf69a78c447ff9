/** A disk and an index in memory, with power cuts and faults, for tests of the ledger's storage. */

import { HASH_BYTES, type LeafHash, parseLeafHash } from "../../kernel/merkle/hash.ts";
import type { LeafRun, LeafSource, LeafStore } from "../../ledger/leaves/leaf-store.ts";
import type { IndexRow, IndexStore, IndexUpdate } from "../../ledger/sequence/index-store.ts";
import { addToPart, type FilterPart, makePart } from "../../ledger/sequence/leaf-filter.ts";
import { type Disk, type DiskFile, folderOf } from "../../ledger/storage/disk.ts";

/** What happens to a step that fails: nothing of it, or all of it, reaches the disk. */
export type FaultMode = "failed" | "failed but kept";

/** Which step fails. Steps are counted over writes, syncs, renames, removals and folder syncs. */
export interface Fault {
  readonly step: number;
  readonly mode: FaultMode;
}

interface File {
  live: Uint8Array;
  synced: Uint8Array;
}

/**
 * A disk that forgets at a power cut what was not synced: file content without `datasync`, names without `syncFolder`.
 * `crash("keep")` keeps everything, as a killed process does; `crash("lose")` keeps only what was synced.
 */
export class MemoryDisk implements Disk {
  readonly steps: string[] = [];
  fault: Fault | undefined;
  #names: Map<string, File>;
  #syncedNames: Map<string, File>;
  #dead = false;

  constructor(names: ReadonlyMap<string, File> = new Map()) {
    this.#names = new Map(names);
    this.#syncedNames = new Map(names);
  }

  /** The disk as the next process finds it. The old one refuses every further step. */
  crash(mode: "keep" | "lose"): MemoryDisk {
    this.#dead = true;
    const names = mode === "keep" ? this.#names : this.#syncedNames;
    const copy = new Map<string, File>();
    for (const [path, file] of names) {
      const content = (mode === "keep" ? file.live : file.synced).slice();
      copy.set(path, { live: content, synced: content.slice() });
    }
    return new MemoryDisk(copy);
  }

  /** Content of a file, to look at or to damage. */
  file(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.live;
  }

  /** Replaces a file behind the ledger's back. */
  put(path: string, bytes: Uint8Array): void {
    const file = { live: bytes, synced: bytes.slice() };
    this.#names.set(path, file);
    this.#syncedNames.set(path, file);
  }

  /** Removes a file behind the ledger's back. */
  drop(path: string): void {
    this.#names.delete(path);
    this.#syncedNames.delete(path);
  }

  paths(): readonly string[] {
    return [...this.#names.keys()].toSorted();
  }

  read(path: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#names.get(path)?.live.slice());
  }

  list(folder: string): Promise<readonly string[]> {
    const names = this.paths().filter((path) => folderOf(path) === folder);
    return Promise.resolve(names.map((path) => path.slice(folder.length + 1)));
  }

  makeFolder(): Promise<void> {
    return Promise.resolve();
  }

  async open(path: string): Promise<DiskFile> {
    const file = this.#names.get(path) ?? { live: new Uint8Array(0), synced: new Uint8Array(0) };
    this.#names.set(path, file);
    return {
      write: (bytes, offset) => this.#step(`write ${path}`, () => writeAt(file, bytes, offset)),
      datasync: () =>
        this.#step(`sync ${path}`, () => {
          file.synced = file.live.slice();
        }),
      close: () => Promise.resolve(),
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step(`rename ${to}`, () => {
      const file = this.#names.get(from);
      if (file === undefined) throw new Error(`no file ${from}`);
      this.#names.delete(from);
      this.#names.set(to, file);
    });
  }

  remove(path: string): Promise<void> {
    if (!this.#names.has(path)) return Promise.resolve();
    return this.#step(`remove ${path}`, () => {
      this.#names.delete(path);
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.#step(`sync folder ${folder}`, () => {
      const inside = (path: string): boolean => folderOf(path) === folder;
      for (const path of this.#syncedNames.keys()) if (inside(path)) this.#syncedNames.delete(path);
      for (const [path, file] of this.#names) if (inside(path)) this.#syncedNames.set(path, file);
    });
  }

  async #step(name: string, effect: () => void): Promise<void> {
    await Promise.resolve();
    if (this.#dead) throw new Error("this disk is gone");
    const failing = this.fault?.step === this.steps.length ? this.fault.mode : undefined;
    this.steps.push(name);
    if (failing !== "failed") effect();
    if (failing !== undefined) throw new Error(`injected: ${name}`);
  }
}

function writeAt(file: File, bytes: Uint8Array, offset: number): void {
  const live = new Uint8Array(Math.max(file.live.length, offset + bytes.length));
  live.set(file.live);
  live.set(bytes, offset);
  file.live = live;
}

/** An index in memory. */
export class MemoryIndex implements IndexStore {
  watermark: bigint = 0n;
  durable: bigint = 0n;
  readonly table: Map<string, Uint8Array> = new Map();

  write(update: IndexUpdate): Promise<void> {
    for (const { key, value } of update.rows) this.table.set(key, value);
    this.watermark = update.watermark;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    this.durable = this.watermark;
    return Promise.resolve();
  }

  lastRow(from: string, to: string): Promise<IndexRow | undefined> {
    return Promise.resolve(this.#between(from, to).at(-1));
  }

  async *rows(from: string, to: string): AsyncIterable<IndexRow> {
    yield* this.#between(from, to);
  }

  clear(): Promise<void> {
    this.table.clear();
    [this.watermark, this.durable] = [0n, 0n];
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #between(from: string, to: string): readonly IndexRow[] {
    const rows = [...this.table].map(([key, value]) => ({ key, value }));
    return rows.filter(({ key }) => key >= from && key <= to).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }
}

/** Leaves in memory: the tiles of the log are asked for nothing but what it lacks when it is bound. */
export class MemoryLeaves implements LeafStore {
  readonly runEntries: number;
  size = 0;
  readonly #found = new Map<string, number>();

  constructor(runEntries = 256) {
    this.runEntries = runEntries;
  }

  async bind(source: LeafSource): Promise<void> {
    for (; this.size + this.runEntries <= source.size; ) {
      const run = new Uint8Array(this.runEntries * HASH_BYTES);
      for (let at = 0; at < this.runEntries; at += 256) {
        run.set(await source.readTile((this.size + at) / 256), at * HASH_BYTES);
      }
      await this.add({ first: this.size, leaves: run });
    }
  }

  /** Takes leaves behind those that it has, whole runs or not. */
  put(leaves: readonly LeafHash[]): void {
    for (const leaf of leaves) {
      const key = Buffer.from(leaf).toString("hex");
      if (!this.#found.has(key)) this.#found.set(key, this.size);
      this.size += 1;
    }
  }

  find(leaves: readonly LeafHash[]): Promise<readonly (number | undefined)[]> {
    return Promise.resolve(leaves.map((leaf) => this.#found.get(Buffer.from(leaf).toString("hex"))));
  }

  filter(): Promise<FilterPart> {
    const part = makePart(this.size);
    for (const leaf of this.#found.keys())
      addToPart(part, Number(`0x${leaf.slice(0, 8)}`), Number(`0x${leaf.slice(8, 16)}`));
    return Promise.resolve(part);
  }

  add({ leaves }: LeafRun): Promise<void> {
    const at = (i: number): LeafHash => parseLeafHash(leaves.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
    this.put(Array.from({ length: this.runEntries }, (_, i) => at(i)));
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
