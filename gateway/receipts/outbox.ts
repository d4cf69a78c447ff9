/**
 * The outbox: receipts that are durable here and not yet proven to be in the log. It sends segments of what is unsent
 * whenever none is in flight, resends unchanged bytes from wherever the ledger says, and lets a receipt go only when a
 * log proof under the pinned keys covers it. Bounded: above the bound nothing is dispatched.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { errorCode, StoreError } from "../../kernel/errors.ts";
import type { BatchPromise } from "../../kernel/promise.ts";
import type { LedgerClient, LedgerTip } from "./ledger-client.ts";
import { checkRoom, FINAL_REFUSALS, refusedForGood } from "./outbox-room.ts";
import type { PromiseBook } from "./promise-book.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

/** Counts of an outbox; numbers are receipt numbers: everything below has that state. */
export interface OutboxStatus {
  readonly written: number;
  /** Admitted by the ledger. */
  readonly acknowledged: number;
  /** Covered by a verified, witnessed log proof. */
  readonly proven: number;
  /** Receipts held because they are not proven. */
  readonly pending: number;
  /** Why it stands still, if it does: a code. */
  readonly fault?: string;
}

/** Sends receipts to the ledger. */
export interface Outbox {
  readonly status: () => OutboxStatus;
  /**
   * @throws {StoreError} ERR_OUTBOX_FULL if `extra` receipts would not fit below the bound; the code of a final refusal
   *   (ERR_STREAM_FORK and its like) once the ledger will never take this stream's receipts
   */
  readonly requireRoom: (extra: number) => void;
  /** True once the ledger refused the stream for good: only a restart helps. */
  readonly isFinal: () => boolean;
  /** Starts sending. */
  readonly start: () => void;
  /** Resolves when everything added so far is acknowledged, or after `limitMs`. */
  readonly drain: (limitMs: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** An outbox that is given receipts. */
export interface ReceiptOutbox extends Outbox {
  /** Takes a durable receipt; numbers ascend without gaps. */
  readonly add: (receipt: WrittenReceipt) => void;
}

/** A receipt that the ledger acknowledged; `index` is where the ledger said it is, if this process heard it. */
export interface AdmittedReceipt {
  readonly receipt: WrittenReceipt;
  readonly index: bigint | undefined;
}

/** Where an outbox begins: receipts below `seq` are proven already. */
export interface OutboxStart {
  readonly seq: number;
  /** Hash of the receipt before. */
  readonly hashBefore: string | undefined;
}

/** What an outbox is made of. */
export interface OutboxOptions {
  readonly stream: string;
  /** Default: at the first receipt. */
  readonly start?: OutboxStart;
  readonly client: LedgerClient;
  /** Canonical registration of the stream's keys. */
  readonly registration: () => Promise<Uint8Array>;
  /** NDJSON of a signed segment over consecutive receipts; `prev` is the hash before the first. */
  readonly makeSegment: (receipts: readonly WrittenReceipt[], prev: string | undefined) => Promise<Uint8Array>;
  /**
   * Checks that every receipt is in a witnessed tree of the log.
   * @returns false if the witnesses have not covered them yet. @throws if a proof does not hold
   */
  readonly checkInLog: (receipts: readonly AdmittedReceipt[]) => Promise<boolean>;
  /** Keeps the ledger's promises until they are proven; without it none are looked at. */
  readonly promises?: PromiseBook;
  readonly maxReceipts: number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
  readonly onFault: (fields: { readonly code: string; readonly why: string }, message: string) => void;
}

const MAX_SEGMENT_RECEIPTS = 256;
const MAX_SEGMENT_BYTES = 4 * 1024 * 1024;
/** Receipts that are proven at a time: a ledger that goes away in between costs the proofs of one such part, not of all. */
const MAX_PROVEN_RECEIPTS = 1024;
/** What comes within this time goes in one segment: a request for each call costs more than the call. */
const GATHER_MS = 100;
/** What is admitted within this time is proven by one log proof, for which nobody waits: it costs several requests. */
const GATHER_PROOF_MS = 500;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2_000;
const POLL_MS = 20;
/** Makes an outbox over the unproven receipts of a stream. */
export function makeOutbox(options: OutboxOptions): ReceiptOutbox {
  return new SegmentOutbox(options);
}

type Doing = "send" | "prove" | "promise";

class SegmentOutbox implements ReceiptOutbox {
  readonly #options: OutboxOptions;
  /** Receipts from number `#first` on. */
  #held: WrittenReceipt[] = [];
  #first = 0;
  #acknowledged = 0;
  #proven = 0;
  /** Index in the log, by number, of receipts that this process submitted and that are not proven. */
  readonly #indexes = new Map<number, bigint>();
  /** Fault of the last attempt to send, of the last to prove, and of promises; undefined after a success. */
  readonly #faults: Record<Doing, ErrorCode | undefined> = { send: undefined, prove: undefined, promise: undefined };
  /** The refusal after which nothing is sent any more. */
  #final: ErrorCode | undefined;
  #wake: () => void = () => undefined;
  #wakeProver: () => void = () => undefined;
  #running: Promise<unknown> | undefined;
  readonly #stopping = new AbortController();

  constructor(options: OutboxOptions) {
    this.#options = options;
    const { seq, hashBefore } = options.start ?? { seq: 0, hashBefore: undefined };
    this.#first = seq;
    this.#acknowledged = seq;
    this.#proven = seq;
    this.#hashBeforeFirst = hashBefore;
  }

  add(receipt: WrittenReceipt): void {
    this.#held.push(receipt);
    this.#wake();
  }

  status(): OutboxStatus {
    const fault = this.#final ?? this.#faults.promise ?? this.#faults.send ?? this.#faults.prove;
    return {
      written: this.#first + this.#held.length,
      acknowledged: this.#acknowledged,
      proven: this.#proven,
      pending: this.#held.length,
      ...(fault === undefined ? {} : { fault }),
    };
  }

  requireRoom(extra: number): void {
    if (this.#final !== undefined) throw refusedForGood(this.#final);
    checkRoom(this.#held.length, extra, this.#options.maxReceipts);
  }

  isFinal(): boolean {
    return this.#final !== undefined;
  }

  start(): void {
    this.#running ??= Promise.all([this.#sendLoop(), this.#proveLoop()]);
  }

  async drain(limitMs: number): Promise<void> {
    const goal = this.#first + this.#held.length;
    const deadline = performance.now() + limitMs;
    while (this.#acknowledged < goal && performance.now() < deadline && this.#final === undefined) {
      await this.#options.sleep(POLL_MS, this.#stopping.signal);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    this.#wakeProver();
    await this.#running;
    this.#options.client.close();
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Sends what is unsent, one segment at a time; backs off on every fault and starts from the ledger's tip again. */
  async #sendLoop(): Promise<void> {
    let retryMs = FIRST_RETRY_MS;
    let isSynced = false;
    while (!this.#isStopping && this.#final === undefined) {
      try {
        if (!isSynced) await this.#synchronise();
        isSynced = true;
        this.#faults.send = undefined;
        const pauseMs = await this.#sendNext();
        if (pauseMs > 0) await this.#pause(pauseMs);
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        isSynced = false;
        this.#report("send", error);
        if (this.#final !== undefined) return;
        await this.#pause(retryMs * (0.5 + this.#options.random()));
        retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
      }
    }
  }

  /** Learns where the ledger is; registers the stream if it is unknown there. */
  async #synchronise(): Promise<void> {
    const { client, stream, registration } = this.#options;
    const tip = await client.tip(stream);
    if (tip === undefined) await client.register(await registration());
    this.#moveTo(tip ?? { nextSeq: 0, last: undefined });
  }

  #moveTo({ nextSeq, last }: LedgerTip): void {
    const before = this.#at(nextSeq - 1);
    if (nextSeq > this.#first + this.#held.length || (before !== undefined && before.hash !== last)) {
      throw this.#refusedForGood("ERR_STREAM_FORK", "the ledger holds other receipts of this stream than we do");
    }
    if (nextSeq < this.#proven) {
      throw new StoreError("ERR_LEDGER_ANSWER", "the ledger's tip is behind receipts that it proved to be in the log");
    }
    this.#acknowledge(Math.max(nextSeq, this.#first));
  }

  #acknowledge(next: number): void {
    this.#acknowledged = next;
    this.#wakeProver();
  }

  /** Sends one segment, or waits for something to send. @returns milliseconds to pause */
  async #sendNext(): Promise<number> {
    const batch = this.#nextBatch();
    if (batch.length === 0) {
      await this.#untilWoken();
      return 0;
    }
    const { client, makeSegment } = this.#options;
    const answer = await client.submit(await makeSegment(batch, this.#prevOf(batch)));
    switch (answer.type) {
      case "admitted":
        for (const [i, { seq }] of batch.entries()) this.#indexes.set(seq, answer.firstIndex + BigInt(i));
        this.#acknowledge((batch.at(-1)?.seq ?? -1) + 1);
        this.#takePromises(batch, answer.promises);
        return this.#held.length - (this.#acknowledged - this.#first) < MAX_SEGMENT_RECEIPTS ? GATHER_MS : 0;
      case "gap":
        this.#moveTo(answer.tip);
        // A gap in front of what continues the very tip that it names: not an answer, and nothing to hurry for.
        if (answer.tip.nextSeq === batch[0]?.seq) throw new StoreError("ERR_LEDGER_ANSWER", "the ledger sees no gap");
        return 0;
      case "later":
        return answer.afterMs;
      case "refused":
        throw this.#refusal(answer.code, answer.successor);
    }
  }

  /** A promise of something else does not take back the acknowledgement; it is told, and proofs will tell the rest. */
  #takePromises(batch: readonly WrittenReceipt[], promises: readonly BatchPromise[]): void {
    try {
      this.#options.promises?.take(batch, promises);
    } catch (error) {
      this.#report("promise", error);
    }
  }

  #refusal(code: string, successor: string | undefined): StoreError {
    const final = FINAL_REFUSALS.get(code);
    if (final === "ERR_LOG_CLOSED") {
      const next = successor === undefined ? "it names no successor" : `it goes on as ${successor}`;
      return this.#refusedForGood(final, `the log has ended; ${next}: configure that and restart`);
    }
    if (final !== undefined) return this.#refusedForGood(final, "the ledger refuses the stream");
    return new StoreError("ERR_LEDGER_ANSWER", `the ledger refuses the segment: ${code}`);
  }

  #refusedForGood(code: ErrorCode, message: string): StoreError {
    this.#final = code;
    return new StoreError(code, message, { fatal: true });
  }

  #nextBatch(): readonly WrittenReceipt[] {
    const batch: WrittenReceipt[] = [];
    let bytes = 0;
    for (
      let i = this.#acknowledged - this.#first;
      i < this.#held.length && batch.length < MAX_SEGMENT_RECEIPTS;
      i += 1
    ) {
      const receipt = this.#held[i];
      if (receipt === undefined || bytes + receipt.bytes.length > MAX_SEGMENT_BYTES) break;
      bytes += receipt.bytes.length;
      batch.push(receipt);
    }
    return batch;
  }

  #prevOf(batch: readonly WrittenReceipt[]): string | undefined {
    const [first] = batch;
    return first === undefined ? undefined : this.#hashBefore(first.seq);
  }

  /** Hash of the receipt before `seq`; the last released one is kept for this. */
  #hashBefore(seq: number): string | undefined {
    return seq === this.#first ? this.#hashBeforeFirst : this.#at(seq - 1)?.hash;
  }

  #hashBeforeFirst: string | undefined;

  #at(seq: number): WrittenReceipt | undefined {
    return seq < this.#first ? undefined : this.#held[seq - this.#first];
  }

  /** Lets go of receipts once every one of them is proven to be in a witnessed tree. */
  async #proveLoop(): Promise<void> {
    while (!this.#isStopping) {
      this.#judgePromises();
      const goal = Math.min(this.#acknowledged, this.#first + MAX_PROVEN_RECEIPTS);
      const admitted = this.#held
        .slice(0, Math.max(0, goal - this.#first))
        .map((receipt) => ({ receipt, index: this.#indexes.get(receipt.seq) }));
      if (admitted.length === 0) {
        await this.#untilAcknowledged();
        continue;
      }
      try {
        const isProven = await this.#options.checkInLog(admitted);
        this.#faults.prove = undefined;
        if (isProven) this.#release(goal);
        if (!isProven) await this.#pause(FIRST_RETRY_MS);
        else if (this.#acknowledged - this.#first < MAX_PROVEN_RECEIPTS) await this.#pause(GATHER_PROOF_MS);
      } catch (error) {
        this.#report("prove", error);
        await this.#pause(FIRST_RETRY_MS);
      }
    }
  }

  /** The deadline of a promise that passes without a proof is a fault until the proof comes. */
  #judgePromises(): void {
    const { promises } = this.#options;
    if (promises === undefined) return;
    try {
      const late = promises.overdue();
      if (late === 0 && this.#faults.promise !== "ERR_PROOF_LATE") return;
      if (late === 0) this.#faults.promise = undefined;
      else throw new StoreError("ERR_PROOF_LATE", `${late} promises of the ledger are past their deadline, unproven`);
    } catch (error) {
      this.#report("promise", error);
    }
  }

  #release(goal: number): void {
    this.#options.promises?.release(goal);
    this.#hashBeforeFirst = this.#at(goal - 1)?.hash;
    for (const { seq } of this.#held.splice(0, goal - this.#first)) this.#indexes.delete(seq);
    this.#first = goal;
    this.#proven = goal;
  }

  #report(doing: Doing, error: unknown): void {
    const code = errorCode(error);
    if (this.#isStopping) return;
    if (this.#faults[doing] !== code)
      this.#options.onFault({ code, why: reasonOf(error) }, "receipts wait in the outbox");
    this.#faults[doing] = code;
  }

  #untilWoken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#isStopping) resolve();
    });
  }

  #untilAcknowledged(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeProver = resolve;
      if (this.#isStopping) resolve();
    });
  }

  async #pause(ms: number): Promise<void> {
    await this.#options.sleep(ms, this.#stopping.signal);
  }
}

/** Messages of ours name no secrets; of what caused them, the network's code is enough. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { cause } = error;
  const below = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const code = below instanceof Error && "code" in below ? ` (${String(below.code)})` : "";
  return `${error.message}${code}`;
}
