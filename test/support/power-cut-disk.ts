/**
 * A disk in memory that tells written from durable, step by step: a step can fail in each way a disk fails, and at a power
 * cut any part of what was not synced may survive, in any order.
 */

import { type Disk, type DiskFile, folderOf } from "../../ledger/storage/disk.ts";

/** What a step that fails leaves: nothing, all of it, or the first half of what it should have written. */
export type Leaves = "nothing" | "all" | "half";

/** A step that fails. Steps are counted over writes, syncs, renames, removals and folder syncs. */
export interface Incident {
  readonly step: number;
  readonly leaves: Leaves;
  /** `EROFS`: every later step fails too. `ENOSPC`: every later write. `EIO`: this step alone. */
  readonly code: "EIO" | "ENOSPC" | "EROFS";
}

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface File {
  /** What a reader sees. */
  live: Uint8Array;
  durable: Uint8Array;
  /** Writes that a sync would make durable, in their order. After a failed sync there are none: the pages count as clean. */
  dirty: Write[];
}

/** A change of names that no folder sync has made durable. */
interface NameChange {
  readonly folder: string;
  readonly apply: (names: Map<string, File>) => void;
}

const SECTOR_BYTES = 512;

/** Says of each thing that may or may not survive whether it does. */
export type Survives = () => boolean;

/** The disk. */
export class PowerCutDisk implements Disk {
  readonly steps: string[] = [];
  incident: Incident | undefined;
  #names: Map<string, File>;
  #durableNames: Map<string, File>;
  #changes: NameChange[];
  #dead = false;

  constructor(
    names: Map<string, File> = new Map(),
    durableNames: Map<string, File> = new Map(),
    changes: NameChange[] = [],
  ) {
    [this.#names, this.#durableNames, this.#changes] = [names, durableNames, changes];
  }

  /** The process ends; the next one finds everything that was written, and what was not durable still is not. */
  endProcess(): PowerCutDisk {
    this.#dead = true;
    return new PowerCutDisk(this.#names, this.#durableNames, this.#changes);
  }

  /** The power is cut; the next process finds what was durable, and of the rest what `survives`. */
  cutPower(survives: Survives): PowerCutDisk {
    this.#dead = true;
    const names = new Map(this.#durableNames);
    for (const { apply } of this.#changes) if (survives()) apply(names);
    const found = new Map([...names].map(([path, file]) => [path, afterCut(file, survives)] as const));
    return new PowerCutDisk(found, new Map(found));
  }

  read(path: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#names.get(path)?.live.slice());
  }

  list(folder: string): Promise<readonly string[]> {
    const names = [...this.#names.keys()].filter((path) => folderOf(path) === folder);
    return Promise.resolve(names.map((path) => path.slice(folder === "" ? 0 : folder.length + 1)).toSorted());
  }

  makeFolder(): Promise<void> {
    return Promise.resolve();
  }

  async open(path: string): Promise<DiskFile> {
    const file = this.#names.get(path) ?? { live: new Uint8Array(0), durable: new Uint8Array(0), dirty: [] };
    if (!this.#names.has(path)) this.#change(folderOf(path), (names) => names.set(path, file));
    return {
      write: (bytes, offset) => this.step(`write ${path}`, (part) => writeTo(file, bytes, offset, part)),
      datasync: () => this.step(`sync ${path}`, (part) => syncFile(file, part)),
      close: () => Promise.resolve(),
    };
  }

  rename(from: string, to: string): Promise<void> {
    return this.step(`rename ${to}`, (part) => {
      if (part !== "all") return;
      this.#change(folderOf(to), (names) => {
        const file = names.get(from);
        if (file === undefined) return;
        names.delete(from);
        names.set(to, file);
      });
    });
  }

  remove(path: string): Promise<void> {
    if (!this.#names.has(path)) return Promise.resolve();
    return this.step(`remove ${path}`, (part) => {
      if (part === "all") this.#change(folderOf(path), (names) => names.delete(path));
    });
  }

  syncFolder(folder: string): Promise<void> {
    return this.step(`sync folder ${folder}`, (part) => {
      if (part !== "all") return;
      for (const change of this.#changes) if (change.folder === folder) change.apply(this.#durableNames);
      this.#changes = this.#changes.filter((change) => change.folder !== folder);
    });
  }

  #change(folder: string, apply: NameChange["apply"]): void {
    apply(this.#names);
    this.#changes.push({ folder, apply });
  }

  /** A step of this disk, or of something else on the same machine. @param effect  told how much of it happens */
  async step(name: string, effect: (part: Leaves) => void): Promise<void> {
    await Promise.resolve();
    if (this.#dead) throw new Error("this disk is gone");
    const failing = this.#failing(name);
    this.steps.push(name);
    effect(failing?.leaves ?? "all");
    if (failing !== undefined) throw Object.assign(new Error(`${failing.code}: ${name}`), { code: failing.code });
  }

  #failing(name: string): Incident | undefined {
    const { incident } = this;
    if (incident === undefined || this.steps.length < incident.step) return undefined;
    if (this.steps.length === incident.step) return incident;
    if (incident.code === "EROFS" || (incident.code === "ENOSPC" && name.startsWith("write "))) {
      return { ...incident, leaves: "nothing" };
    }
    return undefined;
  }
}

function writeTo(file: File, bytes: Uint8Array, offset: number, part: Leaves): void {
  const written = part === "half" ? bytes.slice(0, bytes.length >> 1) : bytes.slice(0, part === "all" ? undefined : 0);
  if (written.length === 0) return;
  file.live = withBytes(file.live, written, offset);
  file.dirty.push({ offset, bytes: written });
}

/** A sync that fails may have made any of the writes durable, and forgets the others: a second one would report success. */
function syncFile(file: File, part: Leaves): void {
  const kept = part === "all" ? file.dirty.length : part === "half" ? file.dirty.length >> 1 : 0;
  for (const { bytes, offset } of file.dirty.slice(0, kept)) file.durable = withBytes(file.durable, bytes, offset);
  file.dirty = [];
}

/** Each sector of each write that was not synced reached the platter, or did not. */
function afterCut(file: File, survives: Survives): File {
  let content: Uint8Array = file.durable;
  for (const { bytes, offset } of file.dirty) {
    for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
      if (survives()) content = withBytes(content, bytes.subarray(at, at + SECTOR_BYTES), offset + at);
    }
  }
  return { live: content, durable: content, dirty: [] };
}

function withBytes(content: Uint8Array, bytes: Uint8Array, offset: number): Uint8Array {
  const longer = new Uint8Array(Math.max(content.length, offset + bytes.length));
  longer.set(content);
  longer.set(bytes, offset);
  return longer;
}
