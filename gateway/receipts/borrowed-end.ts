/**
 * The end of a stream while the sealing thread lends it to the serving thread (sealing-messages.ts), which then seals receipts
 * itself, in the calls that it makes: that saves the way to the other thread and back, two wake-ups of idle cores a receipt.
 * Files are begun, made longer and ended by the sealing thread alone.
 */

import { join } from "node:path";
import { BugError, type StoreError } from "../../kernel/errors.ts";
import { borrowFrameLog, FRAME_HEADER_BYTES, type FrameLog, MAX_PAYLOAD_BYTES } from "./frame-log.ts";
import { makeGroupCommit } from "./group-commit.ts";
import { makeLocalSealer, type NumberedDraft, ReceiptChain, type Sealer, type StreamSigners } from "./sealer.ts";
import type { StreamEnd } from "./sealing-messages.ts";
import { nameOf, type StreamLog, type StreamRoom } from "./stream-log.ts";

const MAX_FRAME_BYTES = FRAME_HEADER_BYTES + MAX_PAYLOAD_BYTES;

/** What sealing on the serving thread needs. */
export interface BorrowedEndOptions {
  /** Of the stream. */
  readonly folder: string;
  readonly signers: StreamSigners;
  /** Over what is written here: for those who stop its writes. */
  readonly wrapLog?: (log: StreamLog) => StreamLog;
  readonly onFailed: (error: StoreError) => void;
  /** Told when nothing is being sealed here any more. */
  readonly onIdle: () => void;
}

/** A file of the stream, open beside the thread that has it open; `frames` is undefined until then. */
interface BorrowedFile {
  readonly first: number;
  readonly frames: FrameLog | undefined;
  readonly opening: Promise<void>;
}

/** A stream's end, ours for as long as a loan is open. */
export class BorrowedEnd {
  readonly #options: BorrowedEndOptions;
  readonly #chain: ReceiptChain;
  readonly #sealer: Sealer;
  /** The file of the last loan. */
  #file: BorrowedFile | undefined;
  /** The open loan. */
  #loan: { readonly frames: FrameLog; readonly to: number } | undefined;
  #isUsed = false;
  /** Receipts that are being sealed. */
  #count = 0;
  #at = 0;

  constructor(options: BorrowedEndOptions) {
    const { signers, wrapLog, onFailed } = options;
    this.#options = options;
    this.#chain = new ReceiptChain(signers, undefined);
    const log: StreamLog = {
      append: (payloads) => this.#append(payloads),
      rotate: () => Promise.reject(new BugError("the serving thread begins no file of a stream")),
      close: async () => undefined,
    };
    const commit = makeGroupCommit(wrapLog?.(log) ?? log, onFailed);
    this.#sealer = makeLocalSealer({ chain: this.#chain, commit, onWritten: () => undefined });
  }

  /** True while something is being sealed here. */
  get isBusy(): boolean {
    return this.#count > 0;
  }

  /**
   * Opens a loan; the first one in a file opens that instead, and nothing is sealed here until the next.
   *
   * @param lastHash  of the receipt at the end
   * @returns false if nobody can have lent this
   */
  take({ file, from, to }: StreamRoom, lastHash: string): boolean {
    const isPlace = [file, from].every((each) => Number.isSafeInteger(each) && each >= 0);
    if (!isPlace || this.#loan !== undefined || file < (this.#file?.first ?? 0)) return false;
    if (file !== this.#file?.first) {
      this.#open(file);
      return true;
    }
    if (from < this.#at) return false;
    const { frames } = this.#file;
    if (frames === undefined) return true;
    frames.takeBack(from);
    this.#at = from;
    this.#chain.goOn(lastHash);
    this.#loan = { frames, to };
    return true;
  }

  /** Whether the next receipt can be sealed here, however long it is. */
  hasRoom(): boolean {
    return this.#loan !== undefined && this.#at + (this.#count + 1) * MAX_FRAME_BYTES <= this.#loan.to;
  }

  /** As `Sealer`; only where there is room. */
  async seal(numbered: NumberedDraft): Promise<string> {
    this.#isUsed = true;
    this.#count += 1;
    try {
      return await this.#sealer.seal(numbered);
    } finally {
      this.#count -= 1;
      if (this.#count === 0) this.#options.onIdle();
    }
  }

  /** Ends the loan. @returns where the stream ends, if something was sealed here */
  giveBack(): StreamEnd | undefined {
    if (this.#loan === undefined) return undefined;
    const { from } = this.#loan.frames.lend();
    const end = this.#isUsed ? { fileBytes: from, lastHash: this.#chain.last } : undefined;
    [this.#loan, this.#isUsed] = [undefined, false];
    return end;
  }

  /** Waits for what is being sealed. */
  drain(): Promise<void> {
    return this.#sealer.close();
  }

  /** Closes the file, which is cut to its length by the one who has its end. */
  async close(): Promise<void> {
    await this.#file?.opening;
    await this.#file?.frames?.close();
  }

  async #append(payloads: readonly Uint8Array[]): Promise<void> {
    const frames = this.#loan?.frames;
    if (frames === undefined) throw new BugError("the end of the stream is not lent");
    await frames.append(payloads);
    for (const { length } of payloads) this.#at += FRAME_HEADER_BYTES + length;
  }

  /** Until the file is open, and if it cannot be opened, the sealing thread does everything. */
  #open(first: number): void {
    const opening = this.#openBehind(this.#file, first).catch(() => undefined);
    this.#file = { first, frames: undefined, opening };
    this.#at = 0;
  }

  async #openBehind(before: BorrowedFile | undefined, first: number): Promise<void> {
    // One that is being opened is closed by whoever opens it: it is not the last any more.
    await before?.opening;
    await before?.frames?.close();
    const path = join(this.#options.folder, `${nameOf(first)}.log`);
    const frames = await borrowFrameLog(path, { isDurable: true, writesOn: "caller" });
    if (this.#file?.first === first) this.#file = { ...this.#file, frames };
    else await frames.close();
  }
}
