/**
 * The checkpoint that the world sees: cosigned by a quorum, in the file `checkpoint`, replaced atomically and durable
 * before it is served. Its size never goes back.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { invariant } from "../../kernel/errors.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import type { Disk } from "../storage/disk.ts";
import { replaceFile } from "../storage/durable-file.ts";

/** File of the published checkpoint in the data folder. */
export const CHECKPOINT_PATH = "checkpoint";

/** A checkpoint that met the quorum. */
export interface PublishedCheckpoint {
  readonly size: bigint;
  readonly root: RootHash;
  readonly note: string;
  /** When its quorum was met by the clock of this ledger, POSIX seconds; absent if an earlier run published it. */
  readonly metAtSeconds?: bigint;
}

/** Holds the published checkpoint and tells those who wait for a larger one. */
export class Publisher {
  readonly #disk: Disk;
  readonly #waiting = new Set<() => void>();
  #published: PublishedCheckpoint | undefined;
  #isReleased = false;

  /** @param published  what the file held at start, checked against the tree */
  constructor(disk: Disk, published: PublishedCheckpoint | undefined) {
    this.#disk = disk;
    this.#published = published;
  }

  /** The newest published checkpoint. */
  get published(): PublishedCheckpoint | undefined {
    return this.#published;
  }

  /** Lets everyone go who waits: nothing more will be published soon. */
  release(): void {
    this.#isReleased = true;
    for (const wake of [...this.#waiting]) wake();
  }

  /** Replaces the published checkpoint, by a larger one or by the same with other cosignatures. */
  async publish(next: PublishedCheckpoint): Promise<void> {
    invariant(next.size >= (this.#published?.size ?? 0n), "a published checkpoint never goes back");
    await replaceFile(this.#disk, { path: CHECKPOINT_PATH, bytes: formatUtf8(next.note) });
    this.#published = next;
    for (const wake of [...this.#waiting]) wake();
  }

  /**
   * Resolves to true once a checkpoint that covers leaf `index` is published, or to false when `signal` aborts first.
   */
  waitFor(index: bigint, signal: AbortSignal): Promise<boolean> {
    const isCovered = (): boolean => index < (this.#published?.size ?? 0n);
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isCovered() && !signal.aborted && !this.#isReleased) return;
        this.#waiting.delete(check);
        signal.removeEventListener("abort", check);
        resolve(isCovered());
      };
      this.#waiting.add(check);
      signal.addEventListener("abort", check);
      check();
    });
  }
}
