/**
 * Files for the write-ahead log to go on in: retired ones, and new ones full of zeros where there are none. Appending then overwrites
 * blocks that the disk has given already, and a sync moves no metadata. What is in them is no truth.
 */

import { invariant } from "../../kernel/errors.ts";
import type { Disk } from "./disk.ts";

/** Names of the files; a log that retires several at once keeps as many. */
const NAMES = ["spare.wal", "spare-2.wal", "spare-3.wal", "spare-4.wal", "spare-5.wal", "spare-6.wal"] as const;
const ZEROS = new Uint8Array(1 << 20);

/** True for the path of such a file. */
export function isSparePath(path: string): boolean {
  return NAMES.some((name) => path === `wal/${name}`);
}

/** Mutable. Needs a call of `syncFolder` behind `take` and `give`. */
export class WalSpares {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #fileBytes: number;
  /** What is behind each name; nothing else may happen to one that is moved or made. */
  readonly #states: Map<string, "free" | "moving" | "ready">;
  #making: Promise<void> | undefined;

  /** @param found  names that are in the folder */
  constructor(disk: Disk, folder: string, fileBytes: number, found: readonly string[]) {
    [this.#disk, this.#folder, this.#fileBytes] = [disk, folder, fileBytes];
    this.#states = new Map(NAMES.map((name) => [`${folder}/${name}`, found.includes(name) ? "ready" : "free"]));
  }

  /** Renames one to `path`, which is not there; makes one if there is none. */
  async take(path: string): Promise<void> {
    let spare = this.#claim("ready");
    for (; spare === undefined; spare = this.#claim("ready")) {
      this.#making ??= this.#make();
      await this.#making;
    }
    await this.#disk.rename(spare, path);
    this.#states.set(spare, "free");
  }

  /** Keeps a file whose content is durable elsewhere, or removes it if there are enough. */
  async give(path: string): Promise<void> {
    const spare = this.#claim("free");
    if (spare === undefined) return this.#disk.remove(path);
    await this.#disk.rename(path, spare);
    this.#states.set(spare, "ready");
  }

  /** Begins to make one in the background if there is none. */
  prepare(): void {
    if (this.#making !== undefined || [...this.#states.values()].includes("ready")) return;
    this.#making = this.#make();
    this.#making.catch(() => undefined);
  }

  /** Resolves when none is being made. */
  async settled(): Promise<void> {
    await this.#making?.catch(() => undefined);
  }

  #claim(state: "free" | "ready"): string | undefined {
    for (const [path, each] of this.#states) {
      if (each !== state) continue;
      this.#states.set(path, "moving");
      return path;
    }
    return undefined;
  }

  /** A file of zeros, so that later writes change no metadata. */
  async #make(): Promise<void> {
    const path = this.#claim("free");
    invariant(path !== undefined, "one is made only where there is none, and two are moved at most");
    const file = await this.#disk.open(path);
    for (let at = 0; at < this.#fileBytes; at += ZEROS.length) {
      await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, this.#fileBytes - at)), at);
    }
    await file.datasync();
    await file.close();
    await this.#disk.syncFolder(this.#folder);
    this.#states.set(path, "ready");
    this.#making = undefined;
  }
}
