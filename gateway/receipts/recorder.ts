/**
 * The recorder: the one writer of a stream. A receipt gets its number, link and signature when it is appended, in order;
 * its promise resolves when it is durable. After a failed write nothing is accepted any more.
 */

import { isCodedError, StoreError } from "../../kernel/errors.ts";
import { formatHex } from "../../kernel/hex.ts";
import type { AttestationField } from "../../kernel/receipt/fields.ts";
import type { StreamHeader } from "../../kernel/receipt/header.ts";
import { type ReceiptBody, signReceipt } from "../../kernel/receipt/receipt.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import { formatTimestamp } from "../../kernel/time.ts";
import { FRAME_HEADER_BYTES } from "./frame-log.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { StreamState } from "./stream-book.ts";
import type { Vault } from "./vault.ts";
import type { StreamTip, WrittenReceipt } from "./written-receipt.ts";

/** A body without the members that every receipt of the stream has. */
export type Unplaced<T> = T extends ReceiptBody ? Omit<T, keyof StreamHeader> : never;

/** A smaller receipt than the one that was too long; undefined if there is none. */
export type Smaller = (body: Unplaced<ReceiptBody>) => Unplaced<ReceiptBody> | undefined;

/** Appends receipts. */
export interface Recorder {
  readonly stream: string;
  readonly tip: () => StreamTip;
  /**
   * Appends the receipt that `make` returns; `make` runs at once, with the secret for its commitments.
   *
   * @param smaller  asked, again and again, for a smaller receipt when one is longer than an entry may be
   * @throws {StoreError} ERR_STREAM_FAILED @throws {FormatError} ERR_ENTRY_LENGTH if there is no smaller one
   */
  readonly append: (
    make: (secret: Uint8Array, seq: number) => Unplaced<ReceiptBody>,
    smaller?: Smaller,
  ) => Promise<WrittenReceipt>;
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
  readonly state: (tip: StreamTip) => StreamState | undefined;
}

/** What a recorder is made of. */
export interface RecorderOptions {
  readonly stream: string;
  readonly tip: StreamTip;
  readonly commit: GroupCommit;
  readonly vault: Pick<Vault, "prepare" | "secret">;
  /** Signs every receipt but the first. */
  readonly receiptSigner: EnvelopeSigner;
  /** Signs the first receipt too. */
  readonly instanceSigner: EnvelopeSigner;
  readonly attestation: AttestationField;
  readonly nowMs: () => number;
  /** When a receipt begins a new file, and what then stands before it. Default: one file holds everything. */
  readonly files?: FileTurns;
  /** Told of every receipt when it gets its number, in order; it is not durable yet. */
  readonly onPlaced: (body: ReceiptBody, hash: string) => void;
  /** Told of every durable receipt, in order. */
  readonly onWritten: (receipt: WrittenReceipt) => void;
}

/** Makes the recorder of an opened stream; `vault.prepare(tip.nextSeq)` was awaited. */
export function makeRecorder(options: RecorderOptions): Recorder {
  const { stream, commit, vault, nowMs } = options;
  let { nextSeq, lastHash } = options.tip;
  let lastAtMs = nowMs();
  let turn: Promise<void> = Promise.resolve();
  let isClosed = false;
  const turns = new FileMeter(options.files);

  const place = (
    make: (secret: Uint8Array, seq: number) => Unplaced<ReceiptBody>,
    smaller: Smaller | undefined,
  ): WrittenReceipt => {
    const seq = nextSeq;
    const header: StreamHeader = {
      v: 1,
      stream,
      seq,
      time: formatTimestamp(nowMs()),
      attestation: options.attestation,
      ...(lastHash === undefined ? {} : { prev: lastHash }),
    };
    const signers = seq === 0 ? [options.instanceSigner, options.receiptSigner] : [options.receiptSigner];
    const { body, signed } = signFitting(make(vault.secret(seq), seq), header, signers, smaller);
    const { bytes } = signed;
    const hash = formatHex(signed.hash);
    nextSeq = seq + 1;
    lastHash = hash;
    lastAtMs = nowMs();
    isClosed = body.kind === "stream-close";
    options.onPlaced(body, hash);
    return { seq, bytes, hash };
  };
  return {
    stream,
    tip: () => ({ nextSeq, lastHash }),
    isFailed: commit.isFailed,
    silenceMs: () => nowMs() - lastAtMs,
    append: async (make, smaller) => {
      // Receipts are made one after another: each may wait for the vault, none overtakes.
      const made = turn.then(async () => {
        await vault.prepare(nextSeq);
        if (commit.isFailed())
          throw new StoreError("ERR_STREAM_FAILED", "the receipt stream has failed", { fatal: true });
        // Nothing stands behind the end of a stream: what comes too late is lost to it, and the next run says so.
        if (isClosed) throw new StoreError("ERR_STREAM_CLOSED", "the receipt stream is closed");
        const state = turns.stateBefore({ nextSeq, lastHash });
        const receipt = place(make, smaller);
        turns.add(receipt.bytes.length);
        return { receipt, durable: commit.append(receipt.bytes, state) };
      });
      turn = made.then(
        () => undefined,
        () => undefined,
      );
      const { receipt, durable } = await made;
      await durable;
      options.onWritten(receipt);
      return receipt;
    },
    close: async () => {
      await turn;
      await commit.close();
    },
  };
}

/** Signs; what is too long is asked for again, smaller, until it fits. */
function signFitting(
  made: Unplaced<ReceiptBody>,
  header: StreamHeader,
  signers: readonly EnvelopeSigner[],
  smaller: Smaller | undefined,
): { readonly body: ReceiptBody; readonly signed: ReturnType<typeof signReceipt> } {
  let next = made;
  for (;;) {
    const body: ReceiptBody = { ...next, ...header };
    try {
      return { body, signed: signReceipt(body, signers) };
    } catch (error) {
      const isTooLong = isCodedError(error) && error.code === "ERR_ENTRY_LENGTH";
      const less = isTooLong ? smaller?.(next) : undefined;
      if (less === undefined) throw error;
      next = less;
    }
  }
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
  stateBefore(tip: StreamTip): StreamState | undefined {
    if (this.#turns === undefined || this.#bytes < this.#turns.maxBytes) return undefined;
    const state = this.#turns.state(tip);
    if (state !== undefined) this.#bytes = 0;
    return state;
  }

  add(bytes: number): void {
    this.#bytes += FRAME_HEADER_BYTES + bytes;
  }
}
