/**
 * The serving thread's side of the delivery thread: an outbox whose work is done elsewhere. Here are its counts, its bound
 * and the keys; a receipt costs a number here, told to the thread some times a second.
 *
 * A thread that ended is a stream that reaches no ledger: from then on nothing is dispatched.
 */

import type { ErrorCode } from "../../kernel/error-codes.ts";
import { invariant, StoreError } from "../../kernel/errors.ts";
import type { Segment, SegmentBody } from "../../kernel/segment.ts";
import type { NamedThread } from "../egress/thread-guard.ts";
import type { DeliveryState, FromDelivery, ToDelivery } from "./delivery-messages.ts";
import type { Outbox, OutboxOptions, OutboxStatus } from "./outbox.ts";
import { checkRoom, FINAL_REFUSALS, refusedForGood } from "./outbox-room.ts";

/** What a delivery is made of. */
export interface DeliveryOptions extends Pick<OutboxOptions, "maxReceipts" | "sleep" | "onFault"> {
  /** Started with a `DeliveryOrder`. */
  readonly thread: NamedThread;
  /** Receipts below these numbers are written, and proven. */
  readonly next: number;
  readonly proven: number;
  /** Canonical registration of the stream's keys. */
  readonly registration: () => Uint8Array;
  /** Signs a segment of our stream. @throws if it is of another one */
  readonly signSegment: (body: SegmentBody) => Segment;
  /** Told once, if the thread ends by itself. */
  readonly onEnded: (error: unknown) => void;
}

/** What is written after a silence is told after this time. */
const FIRST_TELL_MS = 20;
/** From then on it is told as often as it is sent: each time costs the thread a read, and this one a turn. */
const TELL_MS = 100;
const POLL_MS = 20;
/** A thread that does not stop within this time is ended: all that it has is on the disk. */
const STOP_MS = 3_000;

/** An outbox that is told numbers: its thread reads the receipts itself. */
export interface DeliveryOutbox extends Outbox {
  readonly addUpTo: (seq: number) => void;
}

/** Makes the outbox over a started thread. */
export function makeDelivery(options: DeliveryOptions): DeliveryOutbox {
  return new Delivery(options);
}

class Delivery implements DeliveryOutbox {
  readonly #options: DeliveryOptions;
  #next: number;
  #state: DeliveryState;
  #ended: ErrorCode | undefined;
  #isStopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #toldAtMs = 0;
  readonly #stopped: Promise<void>;
  #onStopped: () => void = () => undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#next = options.next;
    this.#state = { acknowledged: options.proven, proven: options.proven, isFinal: false };
    this.#stopped = new Promise((resolve) => {
      this.#onStopped = resolve;
    });
    options.thread.listen<FromDelivery>(
      (message) => this.#take(message),
      (error) => this.#end(error),
    );
  }

  /** Receipt `seq` and all before it are durable. */
  addUpTo(seq: number): void {
    this.#next = seq + 1;
    this.#timer ??= setTimeout(() => this.#tellWritten(), this.#untilTellMs());
  }

  status(): OutboxStatus {
    const { acknowledged, proven } = this.#state;
    const fault = this.#ended ?? this.#state.fault;
    const pending = this.#next - proven;
    return { written: this.#next, acknowledged, proven, pending, ...(fault === undefined ? {} : { fault }) };
  }

  requireRoom(extra: number): void {
    if (this.#ended !== undefined) throw refusedForGood(this.#ended);
    checkRoom(this.#next - this.#state.proven, extra, this.#options.maxReceipts);
  }

  isFinal(): boolean {
    return this.#ended !== undefined;
  }

  start(): void {
    this.#tell({ type: "start" });
  }

  async drain(limitMs: number): Promise<void> {
    const goal = this.#next;
    this.#tellWritten();
    const deadline = performance.now() + limitMs;
    const { signal } = new AbortController();
    while (this.#state.acknowledged < goal && performance.now() < deadline && this.#ended === undefined) {
      await this.#options.sleep(POLL_MS, signal);
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#tell({ type: "stop" });
    const late = setTimeout(this.#onStopped, STOP_MS);
    await this.#stopped;
    clearTimeout(late);
    await this.#options.thread.terminate();
  }

  #untilTellMs(): number {
    return Math.max(FIRST_TELL_MS, this.#toldAtMs + TELL_MS - performance.now());
  }

  #tellWritten(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#toldAtMs = performance.now();
    this.#tell({ type: "written", next: this.#next });
  }

  #tell(message: ToDelivery): void {
    this.#options.thread.tell(message);
  }

  #take(message: FromDelivery): void {
    switch (message.type) {
      case "state":
        this.#move(message.state);
        return;
      case "fault":
        this.#options.onFault(message.fields, message.message);
        return;
      case "sign-registration":
        this.#sign(message.id, (id) => ({ type: "registration", id, bytes: this.#options.registration() }));
        return;
      case "sign-segment":
        this.#sign(message.id, (id) => {
          const { first_seq: first, count } = message.body;
          invariant(first + count <= this.#next, "a segment of receipts that are not written");
          return { type: "segment", id, segment: this.#options.signSegment(message.body) };
        });
        return;
      case "failed":
        this.#fail(message.why);
        return;
      case "stopped":
        this.#move(message.state);
        this.#onStopped();
    }
  }

  /** Receipts that were never written are not proven, and what is proven stays so: else what the thread says is worth nothing. */
  #move(state: DeliveryState): void {
    if (state.proven > this.#next || state.acknowledged > this.#next || state.proven < this.#state.proven) {
      this.#fail("it names receipts that it cannot have");
      return;
    }
    this.#state = state;
    // Only what the outbox calls final is: it names it as its fault.
    if (state.isFinal) this.#ended ??= FINAL_REFUSALS.get(state.fault ?? "") ?? "ERR_THREAD_ENDED";
  }

  #sign(id: number, make: (id: number) => ToDelivery): void {
    try {
      this.#tell(make(id));
    } catch (error) {
      this.#tell({ type: "unsigned", id, message: error instanceof Error ? error.message : "unknown" });
    }
  }

  #fail(why: string): void {
    this.#end(new StoreError("ERR_THREAD_ENDED", why, { fatal: true }));
    void this.#options.thread.terminate();
  }

  #end(error: unknown): void {
    this.#onStopped();
    if (this.#isStopped || this.#ended === "ERR_THREAD_ENDED") return;
    this.#ended = "ERR_THREAD_ENDED";
    this.#options.onEnded(error);
  }
}
