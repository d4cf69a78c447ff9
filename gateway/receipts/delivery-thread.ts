/**
 * The module of the delivery thread: an outbox that reads the stream's files as far as they are said to be durable, brings
 * the receipts to the ledger, checks its proofs, and reports how far it is. It holds no key: what is signed for it is signed
 * on the serving thread. It may connect to the ledger alone (egress/thread-guard.ts).
 *
 * Whatever goes wrong here and is not the ledger's ends the thread, and with it the gateway's readiness (delivery.ts).
 */

import type { MessagePort } from "node:worker_threads";
import { StoreError } from "../../kernel/errors.ts";
import { parseHex } from "../../kernel/hex.ts";
import { formatSegment, type Segment, segmentBodyOf } from "../../kernel/segment.ts";
import { pause } from "../upstream/pause.ts";
import { checkInLog } from "./batch-proof.ts";
import type { DeliveryOrder, DeliveryState, FromDelivery, ToDelivery } from "./delivery-messages.ts";
import { makeLedgerClient } from "./ledger-client.ts";
import { makeOutbox, type Outbox, type ReceiptOutbox } from "./outbox.ts";
import { PromiseBook } from "./promise-book.ts";
import { StreamTail } from "./stream-tail.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

/** What has moved is told after this time at the latest. */
const REPORT_MS = 50;
/** Receipts that are read at a time. */
const READ_RECEIPTS = 512;
/** Room for a segment of most calls. */
const SEGMENT_BYTES = 512 * 1024;

/** Serves as the delivery thread. @param port  to the serving thread */
export function serve(port: MessagePort, order: DeliveryOrder): void {
  const signatures = new Signatures(port);
  const outbox = outboxOf(port, order, signatures);
  const feeder = new Feeder(outbox, order);
  const reporter = new Reporter(port, outbox);
  const fail = (error: unknown): void =>
    tell(port, { type: "failed", why: error instanceof Error ? error.message : "unknown" });
  // Nobody hears of it any more.
  port.on("close", () => {
    reporter.stop();
    outbox.stop().catch(fail);
  });
  port.on("message", (message: ToDelivery) => {
    switch (message.type) {
      case "start":
        // A ledger that holds more than was read here would look like a fork.
        feeder.feed(order.next).then(outbox.start.bind(outbox), fail);
        return;
      case "written":
        feeder.feed(message.next).catch(fail);
        return;
      case "registration":
      case "segment":
      case "unsigned":
        signatures.settle(message);
        return;
      case "stop":
        stop(port, outbox, feeder, reporter).catch(fail);
    }
  });
}

async function stop(port: MessagePort, outbox: Outbox, feeder: Feeder, reporter: Reporter): Promise<void> {
  reporter.stop();
  await outbox.stop();
  await feeder.close();
  tell(port, { type: "stopped", state: stateOf(outbox) });
  port.close();
}

function tell(port: MessagePort, message: FromDelivery): void {
  port.postMessage(message);
}

function stateOf(outbox: Outbox): DeliveryState {
  const { acknowledged, proven, fault } = outbox.status();
  return { acknowledged, proven, isFinal: outbox.isFinal(), ...(fault === undefined ? {} : { fault }) };
}

function outboxOf(port: MessagePort, order: DeliveryOrder, signatures: Signatures): ReceiptOutbox {
  const { stream, start, ledger, policy, logKeys, promisesFolder } = order;
  // One segment is under way at a time, and is made anew when it is sent again.
  const memory = new Uint8Array(SEGMENT_BYTES);
  const client = makeLedgerClient({ ...ledger, asksPromises: logKeys.length > 0, fetch });
  return makeOutbox({
    stream,
    start,
    client,
    registration: () => signatures.registration(),
    makeSegment: async (receipts, prev) => {
      const bytes = receipts.map((receipt) => receipt.bytes);
      const parts = { origin: ledger.origin, stream, firstSeq: receipts[0]?.seq ?? 0, receipts: bytes };
      const before = prev === undefined ? {} : { prev: parseHex(prev, 32) };
      return formatSegment(await signatures.segment(segmentBodyOf({ ...parts, ...before })), bytes, memory);
    },
    checkInLog: (admitted) => checkInLog(client, policy, admitted),
    promises: new PromiseBook({ logKeys, nowMs: Date.now, folder: promisesFolder }),
    // The serving thread counts what is held and lets no call begin beyond its bound.
    maxReceipts: Number.MAX_SAFE_INTEGER,
    sleep: pause,
    random: Math.random,
    onFault: (fields, message) => tell(port, { type: "fault", fields, message }),
  });
}

/** Gives the outbox what is written, in order. */
class Feeder {
  readonly #outbox: ReceiptOutbox;
  readonly #tail: StreamTail;
  #goal = 0;
  #fed: number;
  #feeding: Promise<void> = Promise.resolve();

  constructor(outbox: ReceiptOutbox, { folder, start }: DeliveryOrder) {
    this.#outbox = outbox;
    this.#tail = new StreamTail(folder);
    this.#fed = start.seq;
  }

  /** Reads up to `goal`. @throws {StoreError} ERR_STREAM_FILE */
  feed(goal: number): Promise<void> {
    this.#goal = Math.max(this.#goal, goal);
    this.#feeding = this.#feeding.then(() => this.#feedOn());
    return this.#feeding;
  }

  async close(): Promise<void> {
    await this.#feeding.catch(() => undefined);
    await this.#tail.close();
  }

  async #feedOn(): Promise<void> {
    while (this.#fed < this.#goal) {
      const end = Math.min(this.#goal, this.#fed + READ_RECEIPTS);
      const receipts: readonly WrittenReceipt[] = await this.#tail.read(this.#fed, end);
      for (const receipt of receipts) this.#outbox.add(receipt);
      this.#fed = end;
    }
  }
}

/** Tells what has moved. */
class Reporter {
  readonly #stop: () => void;
  #told = "";

  constructor(port: MessagePort, outbox: Outbox) {
    const timer = setInterval(() => this.#tell(port, outbox), REPORT_MS);
    this.#stop = () => clearInterval(timer);
  }

  stop(): void {
    this.#stop();
  }

  #tell(port: MessagePort, outbox: Outbox): void {
    const state = stateOf(outbox);
    const text = JSON.stringify(state);
    if (text === this.#told) return;
    this.#told = text;
    tell(port, { type: "state", state });
  }
}

type Signed = Extract<ToDelivery, { readonly id: number }>;

/** Asks the serving thread for signatures. */
class Signatures {
  readonly #port: MessagePort;
  readonly #waiting = new Map<number, (answer: Signed) => void>();
  #nextId = 0;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  async registration(): Promise<Uint8Array> {
    const answer = await this.#ask((id) => ({ type: "sign-registration", id }));
    if (answer.type === "registration") return answer.bytes;
    throw refused(answer);
  }

  async segment(body: Extract<FromDelivery, { readonly type: "sign-segment" }>["body"]): Promise<Segment> {
    const answer = await this.#ask((id) => ({ type: "sign-segment", id, body }));
    if (answer.type === "segment") return answer.segment;
    throw refused(answer);
  }

  settle(answer: Signed): void {
    this.#waiting.get(answer.id)?.(answer);
    this.#waiting.delete(answer.id);
  }

  #ask(question: (id: number) => FromDelivery): Promise<Signed> {
    const id = this.#nextId;
    this.#nextId += 1;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      tell(this.#port, question(id));
    });
  }
}

function refused(answer: Signed): StoreError {
  const why = answer.type === "unsigned" ? answer.message : "another answer than was asked for";
  return new StoreError("ERR_THREAD_ENDED", `the serving thread signs nothing: ${why}`);
}
