/** Picks the receipts of a window, and those that the window depends on, out of a log's entries as they come by. */

import { FormatError } from "../kernel/errors.ts";
import { parseCanonical } from "../kernel/json/canonical.ts";
import { isJsonObject, type JsonObject } from "../kernel/json/value.ts";
import type { Hex64 } from "../kernel/receipt/fields.ts";
import { readReceipt, type StreamReceipt } from "../kernel/receipt/receipt.ts";

/** Which receipts of a stream are wanted. */
export type WindowWish =
  /** From `firstSeq` to `lastSeq`, or to the newest one that the checkpoint covers. */
  | { readonly firstSeq: number; readonly lastSeq?: number }
  /** From a session's open receipt to its seal, or to the newest one if it is not sealed. */
  | { readonly session: string };

/** A receipt at its index in the log. */
export interface ScannedReceipt {
  readonly index: number;
  readonly bytes: Uint8Array;
  readonly value: JsonObject;
  readonly receipt: StreamReceipt;
}

/** Takes entries in the order of the log. */
export class StreamScan {
  /** Receipts of the window, in order. */
  readonly window: ScannedReceipt[] = [];
  readonly #stream: Hex64;
  readonly #wish: WindowWish;
  readonly #needle: Uint8Array;
  #open: ScannedReceipt | undefined;
  #policy: ScannedReceipt | undefined;
  #catalog: ScannedReceipt | undefined;
  #isDone = false;

  constructor(stream: Hex64, wish: WindowWish) {
    this.#stream = stream;
    this.#wish = wish;
    this.#needle = new TextEncoder().encode(`"stream":"${stream}"`);
  }

  /** True once the wished end was seen; further entries are not looked at. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** Receipts in front of the window that it depends on: the stream's open receipt, and what was in force. */
  get context(): readonly ScannedReceipt[] {
    return [this.#open, this.#policy, this.#catalog]
      .filter((found) => found !== undefined)
      .toSorted((a, b) => a.index - b.index);
  }

  /** @throws {FormatError} an entry that names the stream and is no receipt */
  take(index: number, bytes: Uint8Array): void {
    if (this.#isDone || Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(this.#needle) < 0) return;
    const value = parseCanonical(bytes);
    if (!isJsonObject(value) || value["stream"] !== this.#stream) return;
    const found = { index, bytes, value, receipt: readReceipt(value) };
    if (this.window.length > 0 || this.#isStart(found.receipt)) this.#takeInside(found);
    else this.#takeBefore(found);
  }

  #isStart(receipt: StreamReceipt): boolean {
    const wish = this.#wish;
    if ("firstSeq" in wish) return receipt.seq >= wish.firstSeq;
    return receipt.kind === "session-open" && receipt.session.id === wish.session;
  }

  #isEnd(receipt: StreamReceipt): boolean {
    const wish = this.#wish;
    if ("firstSeq" in wish) return receipt.seq === wish.lastSeq;
    return receipt.kind === "session-seal" && receipt.session.id === wish.session;
  }

  #takeInside(found: ScannedReceipt): void {
    const expected = (this.window.at(-1)?.receipt.seq ?? found.receipt.seq - 1) + 1;
    if (found.receipt.seq !== expected) {
      throw new FormatError("ERR_STREAM_GAP", `the log holds receipt ${found.receipt.seq} where ${expected} belongs`);
    }
    this.window.push(found);
    this.#isDone = this.#isEnd(found.receipt);
  }

  #takeBefore(found: ScannedReceipt): void {
    const { receipt } = found;
    if (receipt.kind === "stream-open") this.#open = found;
    else if (receipt.kind === "policy-load" && receipt.result === "loaded") this.#policy = found;
    else if (receipt.kind === "catalog-load" && receipt.result === "loaded") this.#catalog = found;
  }
}
