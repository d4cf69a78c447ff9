/** Proposals that wait for a turn, bounded in number and bytes; taken in order, as many as one turn may hold. */

import { StoreError } from "../../kernel/errors.ts";
import type { Proposal } from "./proposal.ts";

/** Bounds of memory. */
export interface SequencerLimits {
  readonly maxQueuedEntries: number;
  readonly maxQueuedBytes: number;
  readonly maxBatchEntries: number;
  readonly maxBatchBytes: number;
}

/** A proposal that waits; whoever waits for it is told by its decision, or by `reject`. */
export interface Waiting<A> {
  readonly proposal: Proposal<A>;
  readonly bytes: number;
  readonly reject: (error: unknown) => void;
}

/** Mutable. */
export class ProposalQueue<A> {
  readonly #limits: SequencerLimits;
  #waiting: Waiting<A>[] = [];
  #entries = 0;
  #bytes = 0;

  constructor(limits: SequencerLimits) {
    this.#limits = limits;
  }

  /** Entries that wait. */
  get entries(): number {
    return this.#entries;
  }

  /** Adds a proposal. @throws {StoreError} ERR_QUEUE_FULL */
  add(proposal: Proposal<A>, reject: (error: unknown) => void): void {
    const bytes = proposal.entries.reduce((total, entry) => total + entry.bytes.length, 0);
    const { maxQueuedEntries, maxQueuedBytes } = this.#limits;
    if (this.#entries + proposal.entries.length > maxQueuedEntries) {
      throw new StoreError("ERR_QUEUE_FULL", `more than ${maxQueuedEntries} entries would wait`);
    }
    if (this.#bytes + bytes > maxQueuedBytes) {
      throw new StoreError("ERR_QUEUE_FULL", `more than ${maxQueuedBytes} bytes would wait`);
    }
    this.#waiting.push({ proposal, bytes, reject });
    this.#entries += proposal.entries.length;
    this.#bytes += bytes;
  }

  /** The next ones that one turn takes, at least one if any waits. */
  take(): readonly Waiting<A>[] {
    const { maxBatchEntries, maxBatchBytes } = this.#limits;
    let [count, entries, bytes] = [0, 0, 0];
    for (const { proposal, bytes: size } of this.#waiting) {
      if (count > 0 && (entries + proposal.entries.length > maxBatchEntries || bytes + size > maxBatchBytes)) break;
      [count, entries, bytes] = [count + 1, entries + proposal.entries.length, bytes + size];
    }
    const taken = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    [this.#entries, this.#bytes] = [this.#entries - entries, this.#bytes - bytes];
    return taken;
  }

  /** Refuses all that wait. */
  refuseAll(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    [this.#entries, this.#bytes] = [0, 0];
    for (const { reject } of waiting) reject(error);
  }
}
