/**
 * The ledger's promises for receipts that are not proven yet. One whose deadline passes without a proof is written to
 * `data_dir/promises/`, in the form that `countersign check-promise` takes; nothing here decides that it is broken.
 *
 * The book is in memory: after a restart the receipts are proven or sent again, and what was promised before is forgotten.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import { hashLeaf } from "../../kernel/merkle/hash.ts";
import { LeafTree } from "../../kernel/merkle/leaf-tree.ts";
import type { VerifierKey } from "../../kernel/note/verifier-key.ts";
import { type BatchPromise, checkBatchPromise, formatLeafPromise, leafPromiseOf } from "../../kernel/promise.ts";
import { timestampMs } from "../../kernel/time.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

/** What a promise book is made with. */
export interface PromiseBookOptions {
  /** Keys of the log, as the pinned policy names them. */
  readonly logKeys: readonly VerifierKey[];
  readonly nowMs: () => number;
  /** Folder for promises whose deadline passed; made when it is needed. */
  readonly folder: string;
}

/** A promise and the receipts that it is of. */
interface Held {
  readonly promise: BatchPromise;
  readonly receipts: readonly WrittenReceipt[];
  isWritten: boolean;
}

/** Promises of one stream, in the order of its receipts; mutable. */
export class PromiseBook {
  readonly #options: PromiseBookOptions;
  #held: Held[] = [];

  constructor(options: PromiseBookOptions) {
    this.#options = options;
  }

  /**
   * Takes the promises that came with the acknowledgement of `receipts`, each of as many of them as it counts.
   *
   * @throws {CheckError} as `checkBatchPromise`: the ledger promised something else
   */
  take(receipts: readonly WrittenReceipt[], promises: readonly BatchPromise[]): void {
    let at = 0;
    for (const promise of promises) {
      const batch = receipts.slice(at, at + promise.count);
      at += promise.count;
      checkBatchPromise(
        promise,
        batch.map(({ bytes }) => hashLeaf(bytes)),
        this.#options.logKeys,
      );
      this.#held.push({ promise, receipts: batch, isWritten: false });
    }
  }

  /** Forgets what is proven: receipts below `seq`. */
  release(seq: number): void {
    this.#held = this.#held.filter(({ receipts }) => (receipts.at(-1)?.seq ?? -1) >= seq);
  }

  /**
   * Number of promises whose deadline has passed; each of them is on disk when this returns.
   *
   * @throws {StoreError} ERR_FILE_WRITE
   */
  overdue(): number {
    const now = this.#options.nowMs();
    const late = this.#held.filter(({ promise }) => timestampMs(promise.deadline) < now);
    for (const held of late) if (!held.isWritten) this.#write(held);
    return late.length;
  }

  /** The promise of the batch's last receipt: what is not in a witnessed tree yet is the end of a batch. */
  #write(held: Held): void {
    const leaves = held.receipts.map(({ bytes }) => hashLeaf(bytes));
    const kept = leafPromiseOf(held.promise, new LeafTree(leaves), leaves.length - 1);
    const leaf = leaves.at(-1);
    const name = `${kept.index}-${leaf === undefined ? "" : formatHex(leaf)}.json`;
    try {
      mkdirSync(this.#options.folder, { recursive: true });
      writeFileSync(join(this.#options.folder, name), formatLeafPromise(kept), { flush: true });
      held.isWritten = true;
    } catch (cause) {
      throw new StoreError("ERR_FILE_WRITE", "a promise of the ledger cannot be kept", { cause });
    }
  }
}
