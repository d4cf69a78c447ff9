/**
 * Sealing: drafts become receipts, one after another. Each is linked to the one before, signed, hashed and made durable. It
 * is done on the serving thread (makeLocalSealer) or on a thread of its own (sealing.ts), in the same order and the same bytes.
 */

import { formatHex } from "../../kernel/hex.ts";
import { type ReceiptDraft, sealReceipt } from "../../kernel/receipt/receipt.ts";
import type { EnvelopeSigner } from "../../kernel/signature/signer.ts";
import type { GroupCommit } from "./group-commit.ts";
import type { FileState } from "./stream-book.ts";
import type { WrittenReceipt } from "./written-receipt.ts";

/** A draft that has its number. */
export interface NumberedDraft {
  readonly seq: number;
  readonly draft: ReceiptDraft;
  /** What stands before it, if it is to begin a new file. */
  readonly state?: FileState;
}

/** Seals the drafts of one stream, in the order of its calls. */
export interface Sealer {
  /** Resolves with the receipt's hash when it and all before it are durable. @throws {StoreError} ERR_STREAM_FAILED, fatal */
  readonly seal: (numbered: NumberedDraft) => Promise<string>;
  /** Nothing is accepted any more: what the file holds is unknown. */
  readonly isFailed: () => boolean;
  /** Waits for what was accepted, then closes the file. */
  readonly close: () => Promise<void>;
}

/** The keys of a stream. */
export interface StreamSigners {
  /** Signs every receipt. */
  readonly receiptSigner: EnvelopeSigner;
  /** Signs the first receipt too. */
  readonly instanceSigner: EnvelopeSigner;
}

/** The chain of a stream: which hash the next receipt names. */
export class ReceiptChain {
  readonly #first: readonly EnvelopeSigner[];
  readonly #others: readonly EnvelopeSigner[];
  #last: string | undefined;

  /** @param last  hash of the last receipt; undefined before the first */
  constructor({ instanceSigner, receiptSigner }: StreamSigners, last: string | undefined) {
    this.#first = [instanceSigner, receiptSigner];
    this.#others = [receiptSigner];
    this.#last = last;
  }

  /** Hash of the last receipt; undefined before the first. */
  get last(): string | undefined {
    return this.#last;
  }

  /** Another one has sealed receipts; @param last  hash of the last of them */
  goOn(last: string | undefined): void {
    this.#last = last;
  }

  /** The next receipt. @throws {FormatError} ERR_SHAPE if it is not drafted for this place */
  seal(draft: ReceiptDraft): Pick<WrittenReceipt, "bytes" | "hash"> {
    const { bytes, hash: raw } = sealReceipt(draft, this.#last, this.#last === undefined ? this.#first : this.#others);
    const hash = formatHex(raw);
    this.#last = hash;
    return { bytes, hash };
  }
}

/** What a sealer on the serving thread is made of. */
export interface LocalSealerOptions {
  readonly chain: ReceiptChain;
  readonly commit: GroupCommit;
  /** Told of every durable receipt, in order. */
  readonly onWritten: (receipt: WrittenReceipt) => void;
}

/** Seals on the thread that calls it. */
export function makeLocalSealer({ chain, commit, onWritten }: LocalSealerOptions): Sealer {
  const sealed = (draft: ReceiptDraft): ReturnType<ReceiptChain["seal"]> => {
    try {
      return chain.seal(draft);
    } catch (cause) {
      // Its number is given away: whatever came behind it would leave a gap.
      throw commit.fail(cause);
    }
  };
  return {
    seal: async ({ seq, draft, state }) => {
      const before = state === undefined ? undefined : { ...state, last_hash: chain.last ?? "" };
      const { bytes, hash } = sealed(draft);
      await commit.append(bytes, before);
      onWritten({ seq, bytes, hash });
      return hash;
    },
    isFailed: commit.isFailed,
    close: commit.close,
  };
}
