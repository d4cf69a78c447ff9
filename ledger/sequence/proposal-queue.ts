/** Proposals that wait for a turn, bounded in number and bytes; taken in order, as many as one turn may hold. */

import { StoreError } from "../../kernel/errors.ts";
import { countOf, type Entries, isRun, type Proposal } from "./proposal.ts";

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
  /** Entries, and their bytes. */
  readonly count: number;
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

  /** True if no proposal waits. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** True if what waits is as much as one turn takes. */
  get isFull(): boolean {
    return this.#entries >= this.#limits.maxBatchEntries || this.#bytes >= this.#limits.maxBatchBytes;
  }

  /** Adds a proposal. @throws {StoreError} ERR_QUEUE_FULL */
  add(proposal: Proposal<A>, reject: (error: unknown) => void): void {
    const { entries } = proposal;
    const [count, bytes] = [countOf(entries), bytesOf(entries)];
    const { maxQueuedEntries, maxQueuedBytes } = this.#limits;
    if (this.#entries + count > maxQueuedEntries) {
      throw new StoreError("ERR_QUEUE_FULL", `more than ${maxQueuedEntries} entries would wait`);
    }
    if (this.#bytes + bytes > maxQueuedBytes) {
      throw new StoreError("ERR_QUEUE_FULL", `more than ${maxQueuedBytes} bytes would wait`);
    }
    this.#waiting.push({ proposal, count, bytes, reject });
    this.#entries += count;
    this.#bytes += bytes;
  }

  /** The next ones that one turn takes, at least one if any waits. */
  take(): readonly Waiting<A>[] {
    const { maxBatchEntries, maxBatchBytes } = this.#limits;
    let [taken, entries, bytes] = [0, 0, 0];
    for (const next of this.#waiting) {
      if (taken > 0 && (entries + next.count > maxBatchEntries || bytes + next.bytes > maxBatchBytes)) break;
      [taken, entries, bytes] = [taken + 1, entries + next.count, bytes + next.bytes];
    }
    const turn = this.#waiting.slice(0, taken);
    this.#waiting = this.#waiting.slice(taken);
    [this.#entries, this.#bytes] = [this.#entries - entries, this.#bytes - bytes];
    return turn;
  }

  /** Refuses all that wait. */
  refuseAll(error: unknown): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    [this.#entries, this.#bytes] = [0, 0];
    for (const { reject } of waiting) reject(error);
  }
}

function bytesOf(entries: Entries): number {
  let total = 0;
  if (!isRun(entries)) for (const { bytes } of entries) total += bytes.length;
  else for (let i = 0; i < entries.starts.length; i += 1) total += (entries.ends[i] ?? 0) - (entries.starts[i] ?? 0);
  return total;
}
