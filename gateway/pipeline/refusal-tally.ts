/**
 * Receipts of refusals before policy: one each, until a flood comes. Then refusals of one principal for one reason at one
 * step are counted, and each window ends with a receipt per count. Nobody's answer overtakes the receipt that counts it.
 */

import { isCodedError } from "../../kernel/errors.ts";
import { notEstablished, present } from "../../kernel/receipt/observed.ts";
import type { RefusalsBody } from "../../kernel/receipt/refusals.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import type { Recorder, Unplaced } from "../receipts/recorder.ts";
import type { ReceiptRef, Refusal } from "./call.ts";
import type { KeyedNames } from "./keyed-names.ts";

/** What the tally works with. */
export interface RefusalTallyOptions {
  readonly recorder: Recorder;
  readonly names: KeyedNames;
  readonly nowMs: () => number;
  /** False while the outbox is full: then refusals are counted only, and written when there is room again. */
  readonly hasRoom: () => boolean;
  /** Refusals that get a receipt of their own in one window. */
  readonly perWindow: number;
}

type Refused = Pick<Refusal, "step" | "reason" | "caller">;

interface Count {
  readonly refusal: Refused;
  count: number;
  readonly fromMs: number;
  toMs: number;
  readonly waiting: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

/** Counts refusals and writes their receipts. */
export class RefusalTally {
  readonly #options: RefusalTallyOptions;
  #single = 0;
  #counts = new Map<string, Count>();

  constructor(options: RefusalTallyOptions) {
    this.#options = options;
  }

  /**
   * Keeps one refusal: by `write`, or in a count.
   *
   * @returns the receipt of its own, or undefined if an aggregate receipt counts it
   */
  async keep(refusal: Refused, write: () => Promise<ReceiptRef>): Promise<ReceiptRef | undefined> {
    // On a dead stream nothing is counted: the caller learns it at once.
    if (this.#options.recorder.isFailed()) return write();
    if (!this.#options.hasRoom()) {
      this.count(refusal);
      return undefined;
    }
    if (this.#single < this.#options.perWindow) {
      this.#single += 1;
      return write();
    }
    const count = this.count(refusal);
    await new Promise<void>((resolve, reject) => count.waiting.push({ resolve, reject }));
    return undefined;
  }

  /** Counts one refusal without waiting for the receipt: for when the outbox is full and no receipt may be added. */
  count(refusal: Refused): Count {
    const nowMs = this.#options.nowMs();
    const principal = refusal.caller === undefined ? "" : this.#options.names.principal(refusal.caller).id;
    const key = `${refusal.step} ${refusal.reason} ${principal}`;
    const known = this.#counts.get(key);
    const count = known ?? { refusal, count: 0, fromMs: nowMs, toMs: nowMs, waiting: [] };
    count.count += 1;
    // A clock that is set back must not make a range that ends before it begins.
    count.toMs = Math.max(count.toMs, nowMs);
    this.#counts.set(key, count);
    return count;
  }

  /** Ends the window: writes a receipt for each count. While the outbox is full the counts go on, unless `force`. */
  async flush(force = false): Promise<void> {
    this.#single = 0;
    if (this.#counts.size === 0 || (!force && !this.#options.hasRoom())) return;
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    await Promise.all(counts.map((count) => this.#write(count)));
  }

  async #write(count: Count): Promise<void> {
    try {
      await this.#options.recorder.append(() => this.#bodyOf(count));
      for (const { resolve } of count.waiting) resolve();
    } catch (error) {
      for (const { reject } of count.waiting) reject(error);
      // The stream is dead; the pipeline says so to whoever asks.
      if (!isCodedError(error)) throw error;
    }
  }

  #bodyOf({ refusal, count, fromMs, toMs }: Count): Extract<Unplaced<RefusalsBody>, { kind: "refusals" }> {
    const { step, reason, caller } = refusal;
    return {
      kind: "refusals",
      count,
      principal:
        caller === undefined ? notEstablished("field.not-reached") : present(this.#options.names.principal(caller)),
      step,
      reason,
      from: formatTimestamp(fromMs),
      to: formatTimestamp(toMs),
    };
  }
}
