/**
 * The recorder: the one writer of a stream. A receipt gets its number when it is appended, and is drafted: from then on it is
 * sure to be one that every reader takes. The sealer links, signs and writes drafts in the same order; the promise of a receipt
 * resolves when it is durable. After a failed write nothing is accepted any more.
 */

import { invariant, isCodedError, StoreError } from "../../kernel/errors.ts";
import type { AttestationField } from "../../kernel/receipt/fields.ts";
import type { StreamHeader } from "../../kernel/receipt/header.ts";
import { draftReceipt, type ReceiptBody, type ReceiptDraft, type UnlinkedBody } from "../../kernel/receipt/receipt.ts";
import type { PublicKey } from "../../kernel/signature/public-key.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { FRAME_HEADER_BYTES } from "./frame-log.ts";
import type { Sealer } from "./sealer.ts";
import type { FileState } from "./stream-book.ts";
import type { Vault } from "./vault.ts";

/** A body without the members that every receipt of the stream has. */
export type Unplaced<T> = T extends ReceiptBody ? Omit<T, keyof StreamHeader> : never;

/** Those members but the link, which is put in when the receipt is sealed. */
export type PlacedHeader = Omit<StreamHeader, "prev">;

/** Where a receipt stands that is being made. */
export interface ReceiptPlace {
  /** For its commitments. */
  readonly secret: Uint8Array;
  readonly header: PlacedHeader;
}

/** A smaller receipt for the same place than the one that was too long; undefined if there is none. */
export type Smaller = (body: UnlinkedBody) => UnlinkedBody | undefined;

/** A durable receipt. */
export interface Recorded {
  readonly seq: number;
  /** Hex SHA-256 of its bytes. */
  readonly hash: string;
}

/** Appends receipts. */
export interface Recorder {
  readonly stream: string;
  /** Number of the next receipt. */
  readonly nextSeq: () => number;
  /**
   * Appends the receipt that `make` returns; `make` runs in its turn, with the secret for its commitments.
   *
   * @throws {StoreError} ERR_STREAM_FAILED @throws {FormatError} ERR_ENTRY_LENGTH
   */
  readonly append: (make: (secret: Uint8Array, seq: number) => Unplaced<ReceiptBody>) => Promise<Recorded>;
  /**
   * As `append`, of a receipt that is made with its header: for those of which there are many, since to put two objects together
   * costs more than to write one.
   *
   * @param smaller  asked, again and again, for a smaller receipt when one is longer than an entry may be
   * @throws as `append`; ERR_ENTRY_LENGTH if there is no smaller one
   */
  readonly appendWhole: (make: (place: ReceiptPlace) => UnlinkedBody, smaller?: Smaller) => Promise<Recorded>;
  readonly isFailed: () => boolean;
  /** Milliseconds since the last receipt was appended. */
  readonly silenceMs: () => number;
  readonly close: () => Promise<void>;
}

/** How a stream is cut into files. */
export interface FileTurns {
  /** Length of the file that is open. */
  readonly fileBytes: number;
  /** A file that has so many bytes takes no more. */
  readonly maxBytes: number;
  /** What stands before the next receipt, which is not placed yet. */
  readonly state: (nextSeq: number) => FileState | undefined;
}

/** What a recorder is made of. */
export interface RecorderOptions {
  readonly stream: string;
  /** Number of the first receipt that is appended. */
  readonly nextSeq: number;
  readonly sealer: Sealer;
  readonly vault: Pick<Vault, "prepare" | "secret">;
  /** Signs every receipt. */
  readonly receiptKey: PublicKey;
  /** Signs the first receipt too. */
  readonly instanceKey: PublicKey;
  readonly attestation: AttestationField;
  readonly nowMs: () => number;
  /** When a receipt begins a new file, and what then stands before it. Default: one file holds everything. */
  readonly files?: FileTurns;
  /** Told of every receipt when it gets its number, in order; it is not durable yet. */
  readonly onPlaced: (body: UnlinkedBody) => void;
  /** Told of every durable receipt, in order. */
  readonly onWritten: (receipt: Recorded) => void;
}

/** Makes the recorder of an opened stream; `vault.prepare(tip.nextSeq)` was awaited. */
export function makeRecorder(options: RecorderOptions): Recorder {
  return new StreamRecorder(options);
}

/** Makes a receipt with the header of its place. */
type Make = Parameters<Recorder["appendWhole"]>[0];

/** A receipt that has its number, and its hash when it is durable. */
interface Placed {
  readonly seq: number;
  readonly sealed: Promise<string>;
}

class StreamRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #firstKeys: readonly PublicKey[];
  readonly #keys: readonly PublicKey[];
  readonly #files: FileMeter;
  #nextSeq: number;
  #lastAtMs: number;
  /** Ends when nobody waits for a place any more. */
  #turn: Promise<void> = Promise.resolve();
  /** Receipts that wait for their places, or are being made. */
  #waiting = 0;
  #isClosed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#firstKeys = [options.instanceKey, options.receiptKey];
    this.#keys = [options.receiptKey];
    this.#files = new FileMeter(options.files);
    this.#nextSeq = options.nextSeq;
    this.#lastAtMs = options.nowMs();
  }

  get stream(): string {
    return this.#options.stream;
  }

  readonly nextSeq = (): number => this.#nextSeq;
  readonly isFailed = (): boolean => this.#options.sealer.isFailed();
  readonly silenceMs = (): number => this.#options.nowMs() - this.#lastAtMs;

  readonly append: Recorder["append"] = (make) =>
    this.appendWhole(({ secret, header }): UnlinkedBody => ({ ...make(secret, header.seq), ...header }));

  readonly appendWhole: Recorder["appendWhole"] = async (make, smaller) => {
    const ready = this.#ready();
    const placed = ready === undefined ? this.#placeAtOnce(make, smaller) : this.#placeAfter(ready, make, smaller);
    const { seq, sealed } = placed instanceof Promise ? await placed : placed;
    const recorded = { seq, hash: await sealed };
    this.#options.onWritten(recorded);
    return recorded;
  };

  /** Receipts are made one after another: each may wait for the vault, none overtakes. @returns undefined if nobody waits */
  #ready(): Promise<void> | undefined {
    const { vault } = this.#options;
    return this.#waiting === 0 ? vault.prepare(this.#nextSeq) : this.#turn.then(() => vault.prepare(this.#nextSeq));
  }

  #placeAtOnce(make: Make, smaller: Smaller | undefined): Placed {
    // Whoever appends a receipt while he makes another one waits.
    this.#waiting += 1;
    try {
      return this.#place(make, smaller);
    } finally {
      this.#waiting -= 1;
    }
  }

  #placeAfter(ready: Promise<void>, make: Make, smaller: Smaller | undefined): Promise<Placed> {
    this.#waiting += 1;
    const placed = ready.then(() => this.#place(make, smaller));
    const end = (): void => {
      this.#waiting -= 1;
    };
    this.#turn = placed.then(end, end);
    return placed;
  }

  #place(make: Make, smaller: Smaller | undefined): Placed {
    const { sealer, onPlaced, nowMs, vault } = this.#options;
    if (sealer.isFailed()) {
      throw new StoreError("ERR_STREAM_FAILED", "the receipt stream has failed", { fatal: true });
    }
    // Nothing stands behind the end of a stream: what comes too late is lost to it, and the next run says so.
    if (this.#isClosed) throw new StoreError("ERR_STREAM_CLOSED", "the receipt stream is closed");
    const header = this.#header();
    const { seq } = header;
    const keys = seq === 0 ? this.#firstKeys : this.#keys;
    const { body, draft } = draftFitting(make({ secret: vault.secret(seq), header }), header, keys, smaller);
    // Only now: what is not made begins no file.
    const state = this.#files.stateBefore(seq);
    this.#nextSeq = seq + 1;
    this.#lastAtMs = nowMs();
    this.#isClosed = body.kind === "stream-close";
    onPlaced(body);
    this.#files.add(draft.length);
    return { seq, sealed: sealer.seal(state === undefined ? { seq, draft } : { seq, draft, state }) };
  }

  #header(): PlacedHeader {
    const { stream, attestation, nowMs } = this.#options;
    return { v: 1, stream, seq: this.#nextSeq, time: formatTimestamp(nowMs()), attestation };
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#options.sealer.close();
  }
}

/** The draft; what is too long is asked for again, smaller, until it fits. */
function draftFitting(
  made: UnlinkedBody,
  header: PlacedHeader,
  keys: readonly PublicKey[],
  smaller: Smaller | undefined,
): { readonly body: UnlinkedBody; readonly draft: ReceiptDraft } {
  let body = made;
  for (;;) {
    invariant(isAt(header, body), "a receipt was made for another place");
    try {
      return { body, draft: draftReceipt(body, keys) };
    } catch (error) {
      const isTooLong = isCodedError(error) && error.code === "ERR_ENTRY_LENGTH";
      const less = isTooLong ? smaller?.(body) : undefined;
      if (less === undefined) throw error;
      body = less;
    }
  }
}

function isAt({ v, stream, seq, time, attestation }: PlacedHeader, body: UnlinkedBody): boolean {
  const isThere = body.stream === stream && body.seq === seq && body.time === time;
  return isThere && body.v === v && body.attestation === attestation;
}

/** Counts what the open file holds. */
class FileMeter {
  readonly #turns: FileTurns | undefined;
  #bytes: number;

  constructor(turns: FileTurns | undefined) {
    this.#turns = turns;
    this.#bytes = turns?.fileBytes ?? 0;
  }

  /** The state with which the next receipt begins a new file; undefined if it goes into the open one. */
  stateBefore(nextSeq: number): FileState | undefined {
    if (this.#turns === undefined || this.#bytes < this.#turns.maxBytes) return undefined;
    const state = this.#turns.state(nextSeq);
    if (state !== undefined) this.#bytes = 0;
    return state;
  }

  add(bytes: number): void {
    this.#bytes += FRAME_HEADER_BYTES + bytes;
  }
}
