/**
 * The checkpoint that the world sees: cosigned by a quorum, in the file `checkpoint`, replaced atomically and durable
 * before it is served. In the degraded mode one that only the log signed, in `checkpoint-unwitnessed`, is shown while it
 * is the larger one. The size that is shown never goes back.
 */

import { formatUtf8 } from "../../kernel/bytes.ts";
import { invariant } from "../../kernel/errors.ts";
import type { RootHash } from "../../kernel/merkle/hash.ts";
import type { Disk } from "../storage/disk.ts";
import { replaceFile } from "../storage/durable-file.ts";

/** File of the published checkpoint in the data folder. */
export const CHECKPOINT_PATH = "checkpoint";
/** File of the newest checkpoint that was published without a quorum. */
export const UNWITNESSED_PATH = "checkpoint-unwitnessed";

/** A checkpoint that met the quorum. */
export interface PublishedCheckpoint {
  readonly size: bigint;
  readonly root: RootHash;
  readonly note: string;
  /** When its quorum was met by the clock of this ledger, POSIX seconds; absent if an earlier run published it. */
  readonly metAtSeconds?: bigint;
}

/** What is served, and whether it met the quorum. */
export interface ShownCheckpoint {
  readonly size: bigint;
  readonly note: string;
  /** `logged`: only the log signed it; the degraded mode published it. */
  readonly state: "cosigned" | "logged";
}

/** What was published. */
export interface PublishedCheckpoints {
  /** The larger of the two that were published; the witnessed one, if they are of one size. */
  readonly shown: ShownCheckpoint | undefined;
  /** The newest published checkpoint. */
  readonly published: PublishedCheckpoint | undefined;
  /** Resolves to true once a checkpoint that covers leaf `index` is published, or to false when `signal` aborts first. */
  readonly waitFor: (index: bigint, signal: AbortSignal) => Promise<boolean>;
  /** Lets everyone go who waits: nothing more will be published soon. */
  readonly release: () => void;
}

/** Takes what is to be published; durable when it resolves. */
export interface CheckpointSink extends Pick<PublishedCheckpoints, "published" | "shown"> {
  /** Replaces the published checkpoint, by a larger one or by the same with other cosignatures. */
  readonly publish: (next: PublishedCheckpoint) => Promise<void>;
  /** Replaces the checkpoint of the degraded mode by a larger one. */
  readonly publishUnwitnessed: (next: PublishedCheckpoint) => Promise<void>;
}

/** Holds the published checkpoint and tells those who wait for a larger one. */
export class Publisher implements PublishedCheckpoints, CheckpointSink {
  readonly #disk: Disk;
  readonly #waiting = new Set<() => void>();
  #published: PublishedCheckpoint | undefined;
  #unwitnessed: PublishedCheckpoint | undefined;
  #isReleased = false;

  /**
   * @param published  what the file held at start, checked against the tree
   * @param unwitnessed  the same of the degraded mode
   */
  constructor(disk: Disk, published: PublishedCheckpoint | undefined, unwitnessed?: PublishedCheckpoint) {
    this.#disk = disk;
    this.#published = published;
    this.#unwitnessed = unwitnessed;
  }

  /** The larger of the two that were published; the witnessed one, if they are of one size. */
  get shown(): ShownCheckpoint | undefined {
    const [published, unwitnessed] = [this.#published, this.#unwitnessed];
    const isLogged = unwitnessed !== undefined && unwitnessed.size > (published?.size ?? -1n);
    if (isLogged) return { size: unwitnessed.size, note: unwitnessed.note, state: "logged" };
    return published === undefined ? undefined : { size: published.size, note: published.note, state: "cosigned" };
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

  /** Replaces the checkpoint of the degraded mode by a larger one. Nobody who waits for a quorum is told. */
  async publishUnwitnessed(next: PublishedCheckpoint): Promise<void> {
    invariant(next.size >= (this.#unwitnessed?.size ?? 0n), "a published checkpoint never goes back");
    await replaceFile(this.#disk, { path: UNWITNESSED_PATH, bytes: formatUtf8(next.note) });
    this.#unwitnessed = next;
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
